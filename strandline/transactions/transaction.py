"""The library's own transactions: begin, learn, prepare, then commit or roll back.

A stream of the library has one partition, "0"; the position of an event is its number in the
stream. What a transaction learns is one epoch, and its commit one version.

>>> import strandline
>>> spec = strandline.Spec.parse('''
... name = "clicks"
... label.path = "click"
... features.item.kind = "category"
... learners.ctr.type = "ftrl"
... learners.popularity = {type = "counts", feature = "item"}
... ''')
>>> store = strandline.create_store("memory:", spec)
>>> stream = strandline.open_stream(store, "backfill")
>>> with stream.begin() as txn:
...     txn.learn([b'{"item": "hat", "click": true}', b'{"item": "cap", "click": false}'])
>>> model = strandline.open_model(store)
>>> model.version, model.count("hat")
(2, (1, 1))
>>> model.predict([{"item": "hat"}]).scores.round(3)
array([0.505], dtype=float32)
"""

from collections.abc import Callable, Mapping
from types import TracebackType
from typing import Final, Self

import numpy as np

from strandline.clock import wall_clock_ms
from strandline.commit.committable import committable_from
from strandline.commit.committing import commit
from strandline.commit.opening import Opening, append_open
from strandline.commit.prepared import Prepared
from strandline.commit.submission import new_submission
from strandline.errors import CommitRefused, WrongUsage
from strandline.events.block import Block, Mark
from strandline.events.json_records import EventEncoder, Events
from strandline.events.records import Records
from strandline.learners.loading import make_learners, one_stream_tables
from strandline.learning.joining import join_shards
from strandline.learning.merger import Merger
from strandline.learning.worker import Worker
from strandline.manifest import OpenKey, Span
from strandline.store import StoreLike, as_store
from strandline.store.base import Store
from strandline.store.chain import read_manifest, read_spec
from strandline.tables.changes import Changes

PARTITION: Final = 0
WORKER: Final = 0


def open_stream(
    store: StoreLike,
    name: str,
    source: Mapping[str, str] | None = None,
    *,
    takeover: bool = False,
    topic_again: bool = False,
    clock_ms: Callable[[], int] = wall_clock_ms,
) -> "Stream":
    """Begin a run of the stream in this process, where the store's head says that it stands.

    A run that held the stream before is superseded: its commits are refused from now on.

    Parameters
    ----------
    store
        The store to commit to, or its path or URL; `create_store` makes it.
    name
        The stream's name.
    source
        What the events come from, such as `{"file": "may.ndjson"}`; a stream goes on from the
        source that it began with.
    takeover
        Take the stream over even if several runs did so within the last minute.
    topic_again
        Let a new stream read a Kafka topic (a source with `topic_id`) that another one reads.
    clock_ms
        Returns the time that versions carry, in ms since 1970.

    Raises
    ------
    StreamUnfit
        If name or source is none that a version may hold.
    SourceRecreated
        If the stream began with another source.
    StreamContested
        If several runs superseded each other within the last minute.
    SecondStream
        If the store is fed by another stream, and a merge rule of the spec does not commute.
    TopicTaken
        If another stream of the store reads the topic, and `topic_again` is not set.
    """
    store = as_store(store)
    run = new_submission(store.head())
    version = append_open(
        store,
        Opening(
            name,
            run=run,
            key=OpenKey(restored=None, submission=run),
            positions={str(PARTITION): 0},
            source=dict(source or {}),
            time_ms=clock_ms(),
            takeover=takeover,
            topic_again=topic_again,
            one_stream=one_stream_tables(make_learners(read_spec(store))),
        ),
    )
    return Stream(store, name, run, version, clock_ms)


class Stream:
    """One run of a stream in this process: a worker, a merger and the commit. Not for threads.

    Attributes
    ----------
    name
        The stream's name.
    run
        The run that holds it since `open_stream`, 32 hexadecimal digits.
    """

    def __init__(
        self, store: Store, name: str, run: str, version: int, clock_ms: Callable[[], int]
    ) -> None:
        self.name, self.run = name, run
        self._store, self._clock_ms = store, clock_ms
        self._encoder = EventEncoder(read_spec(store))
        self._worker = Worker(store, name, WORKER, alone=True)
        self._merger = Merger(store, name)
        self._worker.start(run, version)
        self._merger.start(run, version)
        self._entry = read_manifest(store, version).streams[name]
        self._active: Transaction | None = None

    @property
    def version(self) -> int:
        """The newest version of this stream that this run knows of."""
        return self._entry.version

    @property
    def position(self) -> int:
        """The number of events that are committed: the number of the next one."""
        return self._entry.positions[str(PARTITION)]

    def begin(self) -> "Transaction":
        """Begin a transaction; raises `WrongUsage` while another one is open."""
        if self._active is not None:
            raise WrongUsage(
                f"stream {self.name}: a transaction is open; commit it or roll it back first"
            )
        self._active = Transaction(self)
        return self._active


class Transaction:
    """Learn events, then commit them as one version or give them up.

    In a `with` block it commits at the end, and rolls back if the block raises. A call out of turn
    (after the end, or learning after `prepare`) raises `WrongUsage` and changes nothing.
    """

    def __init__(self, stream: Stream) -> None:
        self._stream = stream
        self._end = stream.position
        self._prepared: Prepared | None = None
        self._committable: bytes | None = None

    def learn(self, events: Events) -> None:
        """Learn events with labels, in order: in any form that `Model.decode` takes.

        An event that cannot be decoded is kept, with the reason, in the version's rejects.

        Raises
        ------
        TooManyRejected
            If the run has read 1,000 events and rejected more of them than the spec allows.
        EventRejected
            If a dictionary holds a value that JSON cannot; nothing of this call is learned.
        WrongUsage
            If `events` is nothing that holds events.
        """
        self._check_active(prepared=False)
        records = self._stream._encoder.records(events)
        if not records:
            return
        first, self._end = self._end, self._end + len(records)
        offsets = np.arange(first, self._end, dtype=np.int64)
        self._stream._worker.learn(Block(PARTITION, first, self._end, offsets, Records.of(records)))

    def prepare(self, delta: Mapping[str, Changes] | None = None) -> Prepared:
        """Write what was learned, or `delta`, durably where nobody reads it yet.

        If that fails the transaction is rolled back.

        Parameters
        ----------
        delta
            Changes by table name that were made elsewhere, in a transaction that has learned
            nothing itself. They take one position of the stream, which holds no event.

        Returns
        -------
        Prepared
            What a commit would make a version of.

        Raises
        ------
        DeltaDamaged
            If `delta` cannot be added to the tables of the spec.
        MergeError
            If a changed parameter is not finite.
        """
        self._check_active(prepared=False)
        learned = self._end - self._stream.position
        if delta is not None and learned:
            raise WrongUsage(
                f"stream {self._stream.name}: the transaction has learned {learned} events and"
                " got a delta as well; commit them one after the other"
            )
        try:
            self._prepared = self._cut() if delta is None else self._hand_in(delta)
        except BaseException:
            self.rollback()
            raise
        return self._prepared

    def commit(self) -> int:
        """Make it a version, prepared first if it is not; return the version, durable.

        A transaction without events makes none: the stream's newest version is returned. After
        `StoreUnavailable` the outcome is unknown, and the same call may be repeated.

        Raises
        ------
        CommitRefused
            `Superseded`, `Rival` or `Gap`. The transaction is rolled back.
        """
        self._check_active()
        stream = self._stream
        if self._prepared is None:
            self.prepare()
        assert self._prepared is not None, "prepare sets it"
        if self._prepared.moves:
            if self._committable is None:
                self._committable = committable_from(
                    self._prepared, stream._entry.positions, stream.name
                )
            try:
                version = commit(stream._store, self._committable).version
            except CommitRefused:
                self.rollback()
                raise
            stream._entry = read_manifest(stream._store, version).streams[stream.name]
        stream._active = None
        return stream.version

    def rollback(self) -> None:
        """Give it up: parameters are as if its events had never been there."""
        self._check_active()
        self._stream._worker.forget(self._stream._entry.seqs.get(str(WORKER), 0))
        self._stream._merger.forget()
        self._stream._active = None

    def _cut(self) -> Prepared:
        stream, begin = self._stream, self._stream.position
        moves = (Span(PARTITION, begin, self._end),) if self._end > begin else ()
        stream._merger.add(stream._worker.mark(Mark(None, moves, stream._clock_ms())))
        return join_shards(stream._store, stream.name, [stream._merger.cut()], None)

    def _hand_in(self, delta: Mapping[str, Changes]) -> Prepared:
        stream, begin = self._stream, self._stream.position
        move = Span(PARTITION, begin, begin + 1)
        return stream._merger.prepare(delta, move, stream._clock_ms())

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        if self._stream._active is not self:
            return  # ended inside the block
        if error is None:
            self.commit()
        else:
            self.rollback()

    def _check_active(self, *, prepared: bool = True) -> None:
        name = self._stream.name
        if self._stream._active is not self:
            raise WrongUsage(f"stream {name}: this transaction has ended; begin another one")
        if not prepared and self._prepared is not None:
            raise WrongUsage(
                f"stream {name}: this transaction is prepared; commit it or roll it back"
            )
