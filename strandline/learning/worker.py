"""A worker: learns from its partitions' blocks and hands over one delta per mark.

Local state is the newest version it has adopted plus its own deltas which that version does not
contain yet, in seq order. Without the second term a worker would unlearn what it has learned
whenever commits take longer than epochs.
"""

import logging
from collections.abc import Mapping, Sequence

from strandline.errors import StoreUnavailable, TooManyRejected
from strandline.events.block import Block, Mark
from strandline.features import Decoder
from strandline.learners.loading import make_learners, not_remembered
from strandline.learning.epoch import Epoch, Part
from strandline.learning.replica import Replica
from strandline.learning.worker_delta import WorkerDelta
from strandline.limits import DELTA_BYTES_MAX, REJECTED_SHARE_EVENTS_MIN
from strandline.manifest import Manifest, Prequential, Span, TrainBody, join_spans
from strandline.merge import AS_IT_IS
from strandline.metrics.prequential import add_sums, is_finite
from strandline.store.base import Store
from strandline.store.chain import read_manifest, read_spec
from strandline.tables.changes import TableDelta

_log = logging.getLogger(__name__)


class Worker:
    """One worker of a stream's job.

    Parameters
    ----------
    store
        Where versions are read from. A worker writes nothing.
    stream
        Name of the stream.
    index
        The worker's number, from 0. Its deltas are identified by (run, index, seq).
    alone
        Whether the stream's job has no other worker: then deltas hold only what is added.
    """

    def __init__(self, store: Store, stream: str, index: int, *, alone: bool = False) -> None:
        self._store, self._stream, self._index = store, stream, index
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
        self._seq = self._newest_seq(read_manifest(self._store, version))
        self._read, self._rejected = 0, 0
        self._epoch = Epoch()
        self._marked = False  # everybody's first epoch stands on the version that START names
        self._bind()
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
        for part in self._epoch.take_in(block):
            self._learn(part)
            if self._epoch.ends_batch:
                self._end_batch()

    def mark(self, mark: Mark) -> WorkerDelta:
        """End the epoch and return what was learned in it.

        A delta that is not finite or too large is refused: its header says why, and the worker
        goes on as if its events had not been there. A delta without events has no seq.
        """
        self._adopt_after_mark()
        self._end_batch()
        epoch, state = self._epoch, self._state
        assert _cover(epoch.spans) == _cover(mark.moves), (epoch.spans, mark.moves)
        tables = self._take_delta()
        sums = {name: add_sums(parts) for name, parts in sorted(epoch.prequential.items())}
        refused = _reason_to_refuse(tables, sums)
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
            prequential={} if refused else sums,
            event_time_ms=epoch.event_time_ms,
            time_ms=mark.time_ms,
            tables={} if refused or not epoch.events else tables,
            rejects=b"".join(epoch.rejects),
        )
        if refused:
            state.reset(tables)
        elif epoch.events:
            state.push(delta.seq, tables)
        self._begin_epoch()
        return delta

    def forget(self, after_seq: int) -> None:
        """Give up what was learned since the last mark, and every delta after `after_seq`.

        The next delta takes the seq after it.
        """
        self._state.reset(self._take_delta())
        self._state.drop(lambda seq: seq > after_seq)
        self._seq = after_seq
        self._begin_epoch()

    @property
    def _state(self) -> Replica[int]:
        assert self._replica is not None, "start comes before everything else"
        return self._replica

    def _begin_epoch(self) -> None:
        self._epoch = Epoch()
        self._marked = True

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
        self._bind()

    def _bind(self) -> None:
        for learner in self._learners.values():
            learner.bind(self._state.local)

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

    def _learn(self, part: Part) -> None:
        batch, rejections = self._decoder.decode(part.records)
        self._epoch.reject(part, rejections)
        for name, learner in self._learners.items():
            predictions = learner.learn(batch) if batch.rows else None
            if predictions is not None:
                self._epoch.score(name, predictions, batch.labels, batch.weights)
        self._read += len(part.records)
        self._rejected += len(rejections)

    def _end_batch(self) -> None:
        probabilities = {n: each.predicts == "probability" for n, each in self._learners.items()}
        self._epoch.add_up(probabilities)
        self._check_rejected_share()

    def _check_rejected_share(self) -> None:
        read, rejected, share = self._read, self._rejected, self._rejected_share_max
        if read < REJECTED_SHARE_EVENTS_MIN or rejected <= share * read:
            return
        reasons = self._epoch.reasons
        often = max(reasons, key=lambda reason: reasons[reason])
        raise TooManyRejected(
            f"stream {self._stream}: {rejected} of the run's {read} events are rejected, most of"
            f" late for {often!r}; the spec allows a share of {share}; check that this is the"
            " stream the spec describes, or raise limits.rejected_share in a new store's spec"
        )

    def _take_delta(self) -> dict[str, TableDelta]:
        tables: dict[str, TableDelta] = {}
        for learner in self._learners.values():
            tables |= learner.take_delta()
        return tables


def _cover(spans: Sequence[tuple[int, int, int]]) -> tuple[Span, ...]:
    return join_spans(sorted(Span(*span) for span in spans))


def _reason_to_refuse(
    tables: Mapping[str, TableDelta], sums: Mapping[str, Prequential]
) -> str | None:
    size_bytes = 0
    for name, delta in tables.items():
        if not delta.finite:
            return f"table {name}: a change is not finite"
        size_bytes += delta.nbytes
    if size_bytes > DELTA_BYTES_MAX:
        return f"{size_bytes} bytes, at most {DELTA_BYTES_MAX} are allowed"
    for name, part in sums.items():
        if not is_finite(part):
            return f"learner {name}: a prediction is not finite"
    return None
