"""The Python operators: workers that learn, mergers that prepare, and what joins their shards.

In thread mode all operators of a process share one interpreter, and module globals survive a
restart of the job: everything they hold is in the function object, made anew by `open`.
"""

import logging
import time
from collections.abc import Iterable, Sequence
from typing import Final

from pyflink.datastream import ProcessFunction, RuntimeContext

from strandline.errors import NoStore, StoreUnavailable, StrandlineError
from strandline.events.block import Mark
from strandline.learners.loading import warm_up
from strandline.learning.joining import PreparedShard, join_shards
from strandline.learning.merger import Merger
from strandline.learning.worker import Worker
from strandline.learning.worker_delta import WorkerDelta
from strandline.store import Store, open_store
from strandline.tables.shards import Shard
from strandline_flink.failure import marked
from strandline_flink.operators import accounts, wire
from strandline_flink.operators.handles import Handles
from strandline_flink.operators.held import Held

# Between what a failed worker held being gone and Flink knowing that it failed.
WORKER_FAILS_S: Final = 2.0
LOG: Final = logging.getLogger(__name__)


class _Operator(ProcessFunction):
    """An operator that turns an error of ours into an element and is silent ever after.

    Such an error would come again after each restart, so it travels in-band to Java, which ends
    the job. An absent store is different, as is any other exception: Flink restarts from the last
    checkpoint, and tries again.
    """

    def __init__(self, store: str, stream: str) -> None:
        self._url = store
        self._stream = stream

    def open(self, runtime_context: RuntimeContext) -> None:  # noqa: ARG002 (Flink's signature)
        """Forget what an earlier attempt left."""
        self._failed = False
        self._opened: Store | None = None
        self._handles = Handles()

    def process_element(
        self,
        value: bytes,
        ctx: ProcessFunction.Context,  # noqa: ARG002 (Flink's signature)
    ) -> Iterable[bytes]:
        """Answer one element of the wire with those it leads to."""
        element = self._handles.take(value)
        if self._failed:
            return ()
        if wire.kind(element) == wire.FATAL:
            return (value,)
        try:
            return self._handles.hand_over(self._answer(element))
        except (NoStore, StoreUnavailable) as error:
            raise RuntimeError(marked(error)) from error
        except StrandlineError as error:
            self._failed = True
            LOG.exception("the job is told to end")
            return (wire.encode_fatal(error),)

    def _answer(self, element: wire.Element) -> Iterable[bytes]:
        raise NotImplementedError

    @property
    def _store(self) -> Store:
        """The store, opened when it is first needed."""
        if self._opened is None:
            self._opened = open_store(self._url)
        return self._opened

    def _epoch(self, parts: Sequence[PreparedShard], cut: wire.Element) -> bytes:
        checkpoint = wire.decode_cut(cut).checkpoint
        return wire.encode_prepared(join_shards(self._store, self._stream, parts, checkpoint))


class Learn(_Operator):
    """Blocks in, one delta per MARK and shard out; its key only, if mergers share the interpreter.

    Parameters
    ----------
    store, stream
        Where versions are read from; the stream's name.
    shards
        How many mergers there are.
    one_interpreter
        Whether they run in the same interpreter, wherever Flink puts them.
    """

    def __init__(self, store: str, stream: str, shards: int, *, one_interpreter: bool) -> None:
        super().__init__(store, stream)
        self._shards = shards
        self._one_interpreter = one_interpreter

    def open(self, runtime_context: RuntimeContext) -> None:
        """Load the kernels while nothing waits for them."""
        super().open(runtime_context)
        self._worker: Worker | None = None
        self._held = Held()
        self._learning = accounts.Stopwatch()
        warm_up()

    def _answer(self, element: wire.Element) -> Iterable[bytes]:
        kind = wire.kind(element)
        if kind == wire.START:
            start = wire.decode_start(element)
            alone = start.workers == 1
            self._worker = Worker(self._store, self._stream, start.worker, alone=alone)
            self._worker.start(start.run, start.version)
            shards = (Shard(index, self._shards) for index in range(self._shards))
            return [wire.encode_start(start, shard) for shard in shards]
        assert self._worker is not None, "START comes first"
        if kind == wire.MARK:
            return self._mark(self._worker, wire.decode_mark(element))
        assert kind == wire.BLOCK, kind
        with self._learning:
            # The worker keeps an epoch's events. What came as a file in memory gives that back.
            own = element if isinstance(element, bytes) else bytes(element)
            self._worker.learn(wire.decode_block(own))
        return ()

    def _mark(self, worker: Worker, mark: Mark) -> Iterable[bytes]:
        with self._learning:  # the batch that the mark cuts short is learned here
            delta = worker.mark(mark)
            parts = enumerate(delta.split(self._shards))
            elements = [self._delta(part, shard) for shard, part in parts]
        learn_ms = self._learning.take_ms()
        if not delta.events:
            return elements
        assert mark.checkpoint is not None, "the marker names it"
        account = accounts.of_worker(self._stream, mark.checkpoint, delta, learn_ms)
        return [wire.encode_account(account), *elements]

    def _delta(self, delta: WorkerDelta, shard: int) -> bytes:
        if self._one_interpreter:
            return wire.encode_held(self._held.hand_over(delta), shard)
        return wire.encode_delta(delta, shard)


class Merge(_Operator):
    """A shard's deltas and CUTs in, what it prepared per CUT out."""

    def open(self, runtime_context: RuntimeContext) -> None:
        """Begin anew: what an earlier attempt gathered belongs to epochs that never were."""
        super().open(runtime_context)
        self._merger: Merger | None = None
        self._shards = 0

    def _answer(self, element: wire.Element) -> Iterable[bytes]:
        kind = wire.kind(element)
        if kind == wire.START:
            self._start(wire.decode_start(element))
            return ()
        if self._merger is None:
            assert kind == wire.CUT, "START comes before the first delta"
            return ()  # every worker had finished before this start
        if kind == wire.DELTA:
            self._merger.add(wire.decode_delta(element))
            return ()
        if kind == wire.HELD:
            self._merger.add(taken(wire.decode_held(element)))
            return ()
        assert kind == wire.CUT, kind
        return self._cut(self._merger, element)

    def _start(self, start: wire.Start) -> None:
        if self._merger is None:
            shard = Shard(start.shard, start.shards)
            self._merger = Merger(self._store, self._stream, shard)
            self._shards = start.shards
        self._merger.start(start.run, start.version)

    def _cut(self, merger: Merger, cut: wire.Element) -> Iterable[bytes]:
        prepared = merger.cut()
        alone = self._shards == 1
        answer = self._epoch([prepared], cut) if alone else wire.encode_prepared_shard(prepared)
        if not any(delta.events for delta in prepared.deltas):
            return (answer,)
        checkpoint = wire.decode_cut(cut).checkpoint
        account = accounts.of_merger(self._stream, checkpoint, prepared, merger.times)
        return (wire.encode_account(account), answer)


def taken(key: bytes) -> WorkerDelta:
    """A delta that its worker holds. If that one has failed, its failure is the one to be told."""
    try:
        return Held.take(key)
    except LookupError:
        time.sleep(WORKER_FAILS_S)
        raise


class Join(_Operator):
    """What every shard prepared, and CUTs of their common barriers in; one epoch per CUT out."""

    def open(self, runtime_context: RuntimeContext) -> None:
        """Begin anew, as the mergers do."""
        super().open(runtime_context)
        self._parts: list[PreparedShard] = []

    def _answer(self, element: wire.Element) -> Iterable[bytes]:
        kind = wire.kind(element)
        if kind == wire.PREPARED_SHARD:
            self._parts.append(wire.decode_prepared_shard(element))
            return ()
        assert kind == wire.CUT, kind
        parts, self._parts = self._parts, []
        return (self._epoch(parts, element),) if parts else ()
