"""A worker: learns from its partitions' blocks and hands over one delta per mark.

Local state is the newest version it has adopted plus its own deltas which that version does not
contain yet, in seq order. Without the second term a worker would unlearn what it has learned
whenever commits take longer than epochs.
"""

import logging
from collections.abc import Sequence

from strandline.errors import StoreUnavailable
from strandline.events.block import Block, Mark
from strandline.features import Decoder
from strandline.learners.loading import make_learners, not_remembered
from strandline.learning.attempt import Attempt, Tables
from strandline.learning.epoch import Epoch, Part
from strandline.learning.rejected_share import RejectedShare
from strandline.learning.relearning import find_unlearnable
from strandline.learning.replica import Replica
from strandline.learning.worker_delta import WorkerDelta
from strandline.limits import RELEARN_BYTES_MAX
from strandline.manifest import Manifest, Span, TrainBody, join_spans
from strandline.merge import AS_IT_IS
from strandline.store.base import Store
from strandline.store.chain import read_manifest, read_spec

_log = logging.getLogger(__name__)


class Worker:
    """One worker of a stream's job.

    Parameters
    ----------
    store
        Where versions are read from. A worker writes nothing but rejected events that end the run.
    stream
        Name of the stream.
    index
        The worker's number, from 0. Its deltas are identified by (run, index, seq).
    alone
        Whether the stream's job has no other worker: then deltas hold only what is added.
    keeps_watch
        Whether too many rejected events end the run. Who trains recorded versions again may begin
        in the middle of a run, where the share is another one.
    """

    def __init__(
        self,
        store: Store,
        stream: str,
        index: int,
        *,
        alone: bool = False,
        keeps_watch: bool = True,
    ) -> None:
        self._store, self._stream, self._index = store, stream, index
        self._keeps_watch = keeps_watch
        spec = read_spec(store)
        self._rejected_share_max = spec.limits.rejected_share
        self._decoder = Decoder(spec)
        self._learners = make_learners(spec, alone=alone)
        rules = {rule for learner in self._learners.values() for rule in learner.rules.values()}
        self._as_it_is = rules <= AS_IT_IS
        self._replica: Replica[int] | None = None

    def start(self, run: str, version: int) -> None:
        """Begin a run on the parameters of a version; seq goes on from what that version names."""
        self._run = run
        self._replica = Replica(
            self._store, self._learners, version, copied=not_remembered(self._learners)
        )
        manifest = read_manifest(self._store, version)
        self._seq = self._newest_seq(manifest)
        entry = manifest.streams.get(self._stream)
        self._past = RejectedShare(of_a_file=entry is not None and "file" in entry.source)
        self._marked = False  # everybody's first epoch stands on the version that START names
        self._begin_epoch()
        self._learn_nothing()

    @property
    def version(self) -> int:
        """The version the worker stands on."""
        return self._state.version

    def learn(self, block: Block) -> None:
        """Take in the events of a block.

        Raises
        ------
        TooManyRejected
            If more of the run's events are rejected than the spec allows, once 1,000 were read.
        """
        self._adopt_after_mark()
        attempt = self._attempt
        for part in attempt.epoch.take_in(block):
            attempt.learn(part)
            if attempt.epoch.ends_batch:
                attempt.end_batch()
                self._check_share(attempt.epoch)

    def mark(self, mark: Mark) -> WorkerDelta:
        """End the epoch and return what was learned in it.

        What was learned is not finite, too large, or a learner raised: then the epoch is learned
        again without the events that cause it, which are rejected. Only if that does not help the
        delta is refused: its header says why, and the worker goes on as if none of its events had
        been there. A delta without events has no seq.

        Raises
        ------
        TooManyRejected
            As `learn`. Refused events count like rejected ones.
        """
        self._adopt_after_mark()
        attempt, tables = self._close()
        epoch, state, refused = attempt.epoch, self._state, attempt.fault
        assert _cover(epoch.spans) == _cover(mark.moves), (epoch.spans, mark.moves)
        self._seq += epoch.events > 0
        delta = WorkerDelta(
            worker=self._index,
            seq=self._seq if epoch.events else 0,
            adopted=state.version,
            pending=tuple(own.key for own in state.pending),
            moves=tuple(Span(*move) for move in mark.moves),
            spans=join_spans(epoch.spans),
            events=epoch.events,
            learned=0 if refused else epoch.events - epoch.rejected,
            rejected=epoch.rejected,
            refused=refused,
            reasons=dict(sorted(epoch.reasons.items())),
            prequential={} if refused else attempt.sums,
            event_time_ms=epoch.event_time_ms,
            time_ms=mark.time_ms,
            tables={} if refused or not epoch.events else tables,
            rejects=b"".join(epoch.rejects),
        )
        if refused:
            _log.error("worker %d refuses %d events: %s", self._index, epoch.events, refused)
            attempt.undo(tables)
        elif epoch.events:
            state.push(delta.seq, tables)
        lost = delta.events - delta.learned - delta.rejected
        self._check_share(epoch, refused=lost)
        self._past = self._past.with_epoch(epoch, refused=lost)
        self._marked = True
        self._begin_epoch()
        return delta

    def forget(self, after_seq: int) -> None:
        """Give up what was learned since the last mark, and every delta after `after_seq`.

        The next delta takes the seq after it.
        """
        self._attempt.undo(self._attempt.close())
        self._state.drop(lambda seq: seq > after_seq)
        self._seq = after_seq
        self._marked = True
        self._begin_epoch()

    @property
    def _state(self) -> Replica[int]:
        assert self._replica is not None, "start comes before everything else"
        return self._replica

    def _begin_epoch(self) -> None:
        self._attempt = self._new_attempt(Epoch())

    def _new_attempt(self, epoch: Epoch) -> Attempt:
        return Attempt(self._decoder, self._learners, self._state, epoch)

    def _close(self) -> tuple[Attempt, Tables]:
        """End the epoch's attempt; learn again what can be learned if all of it cannot."""
        attempt = self._attempt
        tables = attempt.close()
        if attempt.fault is None:
            return attempt, tables
        if attempt.epoch.parts is None:
            attempt.fault += (
                f"; {attempt.epoch.bytes} bytes of events are too many to be learned again"
                f" without the cause: at most {RELEARN_BYTES_MAX}; end epochs earlier"
            )
            return attempt, tables
        attempt.undo(tables)
        left_out = find_unlearnable(attempt.epoch.in_batches(), self._learn_on_top)
        self._state.drop(lambda key: key < 0)
        _log.warning(
            "worker %d learns an epoch again, %d of its %d events are rejected: %s",
            self._index, len(left_out), attempt.epoch.events, attempt.fault,
        )  # fmt: skip
        self._attempt = self._new_attempt(Epoch())
        for epoch, part in attempt.epoch.again():
            self._attempt.epoch = epoch
            self._attempt.learn(part, left_out)
            if epoch.ends_batch:
                self._attempt.end_batch()
        return self._attempt, self._attempt.close()

    def _learn_on_top(self, parts: Sequence[Part]) -> str | None:
        """Learn events on top of what is pending; return why they cannot be, and undo it then."""
        attempt = self._new_attempt(Epoch())
        for part in parts:
            attempt.learn(part)
        tables = attempt.close()
        if attempt.fault is None:
            tries = sum(own.key < 0 for own in self._state.pending)
            self._state.push(-1 - tries, tables)
        else:
            attempt.undo(tables)
        return attempt.fault

    def _adopt_after_mark(self) -> None:
        """At the first element after a mark: take the newest version at hand, wait for none.

        A store that does not answer is no reason to stop: the worker learns on from where it
        stands, its delta says so, and it looks again after the next mark.
        """
        if not self._marked:
            return
        self._marked = False
        try:
            self._state.catch_up(self._contained, self._verbatim)
        except StoreUnavailable as error:
            _log.warning("worker %d stays at version %d: %s", self._index, self.version, error)
        self._attempt.bind()

    def _learn_nothing(self) -> None:
        """Let learners take the memory that they need, while no event waits for it."""
        batch, _ = self._decoder.decode([])
        for learner in self._learners.values():
            learner.learn(batch)

    def _contained(self, manifest: Manifest, seq: int) -> bool:
        entry = manifest.streams.get(self._stream)
        return entry is not None and entry.run == self._run and self._newest_seq(manifest) >= seq

    def _verbatim(self, manifest: Manifest) -> list[int]:
        """Return the seqs of own deltas that are the version's files, one each (decision 14).

        Every file was merged of one cut and names the newest delta of each worker in it. A cut
        whose only delta was learned by this worker is that delta, where rules leave it as it is.
        """
        body = manifest.body
        own = self._as_it_is and manifest.stream == self._stream
        if not (own and isinstance(body, TrainBody)):
            return []
        learned = [delta.seq for delta in body.deltas if delta.learned]
        cuts = [file.seqs for file in body.files if file.shards == 1]
        return learned if cuts == [{str(self._index): seq} for seq in learned] else []

    def _newest_seq(self, manifest: Manifest) -> int:
        """The newest of this index's deltas that a version contains, 0 if it names none."""
        entry = manifest.streams.get(self._stream)
        return 0 if entry is None else entry.seqs.get(str(self._index), 0)

    def _check_share(self, epoch: Epoch, refused: int = 0) -> None:
        seen = self._past.with_epoch(epoch, refused=refused)
        if self._keeps_watch and seen.too_many(self._rejected_share_max):
            raise seen.error(self._store, self._stream, epoch, self._rejected_share_max)


def _cover(spans: Sequence[tuple[int, int, int]]) -> tuple[Span, ...]:
    return join_spans(sorted(Span(*span) for span in spans))
