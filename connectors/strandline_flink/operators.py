"""The two Python operators: a worker that learns, and the merger that prepares versions.

In thread mode all operators of a process share one interpreter, and module globals survive a
restart of the job: everything they hold is in the function object, made anew by `open`.
"""

import logging
from collections.abc import Iterable
from mmap import mmap
from typing import Final

from pyflink.datastream import ProcessFunction, RuntimeContext

from strandline.errors import NoStore, StoreUnavailable, StrandlineError
from strandline.learners.loading import warm_up
from strandline.merger import Merger
from strandline.store import open_store
from strandline.worker import Worker
from strandline.worker_delta import WorkerDelta
from strandline_flink import wire
from strandline_flink.failure import marked
from strandline_flink.handles import Handles

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
        self._handles = Handles()

    def open(self, runtime_context: RuntimeContext) -> None:  # noqa: ARG002 (Flink's signature)
        """Forget what an earlier attempt left."""
        self._failed = False
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

    def _answer(self, element: bytes | mmap) -> Iterable[bytes]:
        raise NotImplementedError


class Learn(_Operator):
    """Blocks in, one delta per MARK out."""

    def open(self, runtime_context: RuntimeContext) -> None:
        """Load the kernels while nothing waits for them."""
        super().open(runtime_context)
        self._worker: Worker | None = None
        warm_up()

    def _answer(self, element: bytes | mmap) -> Iterable[bytes]:
        kind = wire.kind(element)
        if kind == wire.START:
            start = wire.decode_start(element)
            self._worker = Worker(open_store(self._url), self._stream, start.worker)
            self._worker.start(start.run, start.version)
            return (bytes(element),)
        assert self._worker is not None, "START comes first"
        if kind == wire.MARK:
            return (wire.DELTA + self._worker.mark(wire.decode_mark(element)).encode(),)
        assert kind == wire.BLOCK, kind
        self._worker.learn(wire.decode_block(element))
        return ()


class Merge(_Operator):
    """Deltas and cuts in, one prepared epoch per CUT out."""

    def open(self, runtime_context: RuntimeContext) -> None:
        """Begin anew: what an earlier attempt gathered belongs to epochs that never were."""
        super().open(runtime_context)
        self._merger: Merger | None = None

    def _answer(self, element: bytes | mmap) -> Iterable[bytes]:
        if self._merger is None:
            self._merger = Merger(open_store(self._url), self._stream)
        kind = wire.kind(element)
        if kind == wire.DELTA:
            self._merger.add(WorkerDelta.decode(memoryview(element)[1:]))
            return ()
        if kind == wire.CUT:
            cut = wire.decode_cut(element)
            return (wire.encode_prepared(self._merger.cut(cut.checkpoint, cut.time_ms)),)
        assert kind == wire.START, kind
        start = wire.decode_start(element)
        self._merger.start(start.run, start.version)
        return ()
