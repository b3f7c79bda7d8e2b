"""How fast a model predicts, and how fast a reader does while it takes up versions."""

import os
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any, Final

import numpy as np
from numpy.typing import NDArray

from bench.events import SPEC, lines
from bench.figures import ratio, summary
from strandline.learners.loading import make_learners, schemas_of
from strandline.manifest import genesis, parse_manifest
from strandline.reading.model import EventDecoder, Model
from strandline.reading.reader import Reader
from strandline.spec import Spec
from strandline.store import create_store, read_spec
from strandline.store.posix import PosixStore
from strandline.tables.changes import Changes
from strandline.tables.table import DenseTable
from strandline.transactions.transaction import open_stream

EVENTS: Final = 20_000
CALL_EVENTS: Final = 4096
VERSION_ROWS: Final = 100_000
VERSIONS_PER_S: Final = 10


def ads_spec(bits: int) -> Spec:
    """Return the spec of the throughput bench's events with tables of this size."""
    return Spec.parse(SPEC.replace("bits = 22", f"bits = {bits}"))


def ads_events() -> list[bytes]:
    """Return the events to predict."""
    return [line for piece in lines(EVENTS) for line in piece.splitlines()]


def batch_speed(bits: int, turns: int) -> dict[str, Any]:
    """Return events/s of one core: from decoded features, from JSON, and of decoding alone."""
    spec = ads_spec(bits)
    ((name, schema),) = schemas_of(make_learners(spec)).items()
    rng = np.random.default_rng(bits)
    values = rng.random((1 << bits, 2), np.float32) + np.float32(0.1)
    manifest = parse_manifest(genesis(spec.sha256))
    model = Model(manifest, EventDecoder(spec), {name: DenseTable(schema, values)})
    events = ads_events()
    calls = [events[at : at + CALL_EVENTS] for at in range(0, EVENTS - CALL_EVENTS, CALL_EVENTS)]
    batches = [model.decode(call) for call in calls]
    contenders: dict[str, Callable[[], object]] = {
        "from_features": lambda: [model.predict(batch) for batch in batches],
        "from_json": lambda: [model.predict(call) for call in calls],
        "decode": lambda: [model.decode(call) for call in calls],
    }
    found: dict[str, list[float]] = {contender: [] for contender in contenders}
    for turn in range(turns + 1):
        for contender, run in contenders.items():
            started = time.thread_time()
            run()
            speed = len(calls) * CALL_EVENTS / (time.thread_time() - started)
            if turn:  # the first one compiles
                found[contender].append(speed)
    return {
        "bits": bits,
        "from_json_to_decode": ratio(found["from_json"], found["decode"]),
        **{contender: summary(speeds) for contender, speeds in found.items()},
    }


class Revealed(PosixStore):
    """A store whose versions after `visible` are not there yet."""

    visible = 1

    def manifest(self, version: int) -> bytes | None:
        return super().manifest(version) if version <= self.visible else None

    def head(self, at_least: int = 0) -> int:
        return min(super().head(at_least), self.visible)


def single_speed(folder: str, bits: int, turns: int, seconds: float) -> dict[str, Any]:
    """Return percentiles in µs of single predictions by a reader, quiet and as versions arrive.

    A thread predicts one event after the other; nobody else works meanwhile but the reader's own
    thread. Quiet and busy times take turns.
    """
    store = _filled(folder, bits, round(turns * seconds * VERSIONS_PER_S) + 1)
    events = ads_events()
    quiet: list[NDArray[np.float64]] = []
    busy: list[NDArray[np.float64]] = []
    with Reader(store) as reader:
        _predict(reader, store, events, seconds / 2, busy=False)
        for _ in range(turns):
            quiet.append(_predict(reader, store, events, seconds, busy=False))
            busy.append(_predict(reader, store, events, seconds, busy=True))
            reader.wait(store.visible, timeout_s=30)
        assert reader.error is None, reader.error
    result: dict[str, Any] = {"bits": bits, "versions": store.visible}
    for name, percent in (("p50", 50), ("p99", 99)):
        at = [[float(np.percentile(each, percent)) for each in some] for some in (quiet, busy)]
        result |= {f"quiet_{name}_us": summary(at[0]), f"busy_{name}_us": summary(at[1])}
        result[f"ratio_{name}"] = ratio(at[1], at[0])
    return result


def _predict(
    reader: Reader, store: Revealed, events: list[bytes], seconds: float, *, busy: bool
) -> NDArray[np.float64]:
    """Return the time in µs of each prediction; if busy, a version appears now and then."""
    took: list[float] = []
    now = started = time.perf_counter()
    visible = store.visible
    while now - started < seconds:
        if busy:
            store.visible = visible + int((now - started) * VERSIONS_PER_S)
        before = time.perf_counter()
        reader.predict([events[len(took) % EVENTS]])
        now = time.perf_counter()
        took.append(1e6 * (now - before))
    return np.array(took)


def _filled(folder: str, bits: int, versions: int) -> Revealed:
    """Return a store of so many versions after the first, of which only that one is visible."""
    path = os.path.join(folder, f"reader-{bits}")
    store = create_store(path, ads_spec(bits))
    ((name, schema),) = schemas_of(make_learners(read_spec(store))).items()
    stream, rng = open_stream(store, "events"), np.random.default_rng(1)
    for _ in range(versions):
        rows = np.unique(rng.integers(0, 1 << bits, VERSION_ROWS)).astype(schema.row_dtype)
        values = rng.random((len(rows), schema.width), np.float32)
        with stream.begin() as transaction:
            transaction.prepare({name: Changes(rows, values)})
    return Revealed(Path(path))
