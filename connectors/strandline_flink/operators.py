"""The Python operators: workers that learn, mergers that prepare, and what joins their shards.

In thread mode all operators of a process share one interpreter, and module globals survive a
restart of the job: everything they hold is in the function object, made anew by `open`.
"""

import logging
from collections.abc import Iterable, Sequence
from typing import Final

from pyflink.datastream import ProcessFunction, RuntimeContext

from strandline.errors import NoStore, StoreUnavailable, StrandlineError
from strandline.learners.loading import warm_up
from strandline.merger import Merger
from strandline.prepared import PreparedShard, join_shards
from strandline.shards import Shard
from strandline.store import Store, open_store
from strandline.worker import Worker
from strandline_flink import wire
from strandline_flink.failure import marked

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
        self._failed = False

    def open(self, runtime_context: RuntimeContext) -> None:  # noqa: ARG002 (Flink's signature)
        """Forget what an earlier attempt left."""
        self._failed = False
        self._opened: Store | None = None

    def process_element(
        self,
        value: bytes,
        ctx: ProcessFunction.Context,  # noqa: ARG002 (Flink's signature)
    ) -> Iterable[bytes]:
        """Answer one element of the wire with those it leads to."""
        if self._failed:
            return ()
        if wire.kind(value) == wire.FATAL:
            return (value,)
        try:
            return self._answer(value)
        except (NoStore, StoreUnavailable) as error:
            raise RuntimeError(marked(error)) from error
        except StrandlineError as error:
            self._failed = True
            LOG.exception("the job is told to end")
            return (wire.encode_fatal(error),)

    def _answer(self, element: bytes) -> Iterable[bytes]:
        raise NotImplementedError

    @property
    def _store(self) -> Store:
        """The store, opened when it is first needed."""
        if self._opened is None:
            self._opened = open_store(self._url)
        return self._opened

    def _epoch(self, parts: Sequence[PreparedShard], cut: bytes) -> bytes:
        checkpoint = wire.decode_cut(cut).checkpoint
        return wire.encode_prepared(join_shards(self._store, self._stream, parts, checkpoint))


class Learn(_Operator):
    """Blocks in, one delta per MARK and shard out."""

    def __init__(self, store: str, stream: str, shards: int) -> None:
        super().__init__(store, stream)
        self._shards = shards

    def open(self, runtime_context: RuntimeContext) -> None:
        """Load the kernels while nothing waits for them."""
        super().open(runtime_context)
        self._worker: Worker | None = None
        warm_up()

    def _answer(self, element: bytes) -> Iterable[bytes]:
        kind = wire.kind(element)
        if kind == wire.START:
            start = wire.decode_start(element)
            self._worker = Worker(self._store, self._stream, start.worker)
            self._worker.start(start.run, start.version)
            shards = (Shard(index, self._shards) for index in range(self._shards))
            return [wire.encode_start(start, shard) for shard in shards]
        assert self._worker is not None, "START comes first"
        if kind == wire.MARK:
            parts = self._worker.mark(wire.decode_mark(element)).split(self._shards)
            return [wire.encode_delta(part, shard) for shard, part in enumerate(parts)]
        assert kind == wire.BLOCK, kind
        self._worker.learn(wire.decode_block(element))
        return ()


class Merge(_Operator):
    """A shard's deltas and CUTs in, what it prepared per CUT out."""

    def open(self, runtime_context: RuntimeContext) -> None:
        """Begin anew: what an earlier attempt gathered belongs to epochs that never were."""
        super().open(runtime_context)
        self._merger: Merger | None = None
        self._shards = 0

    def _answer(self, element: bytes) -> Iterable[bytes]:
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
        assert kind == wire.CUT, kind
        prepared = self._merger.cut()
        if self._shards > 1:
            return (wire.encode_prepared_shard(prepared),)
        return (self._epoch([prepared], element),)

    def _start(self, start: wire.Start) -> None:
        if self._merger is None:
            shard = Shard(start.shard, start.shards)
            self._merger = Merger(self._store, self._stream, shard)
            self._shards = start.shards
        self._merger.start(start.run, start.version)


class Join(_Operator):
    """What every shard prepared, and CUTs of their common barriers in; one epoch per CUT out."""

    def open(self, runtime_context: RuntimeContext) -> None:
        """Begin anew, as the mergers do."""
        super().open(runtime_context)
        self._parts: list[PreparedShard] = []

    def _answer(self, element: bytes) -> Iterable[bytes]:
        kind = wire.kind(element)
        if kind == wire.PREPARED_SHARD:
            self._parts.append(wire.decode_prepared_shard(element))
            return ()
        assert kind == wire.CUT, kind
        parts, self._parts = self._parts, []
        return (self._epoch(parts, element),) if parts else ()
