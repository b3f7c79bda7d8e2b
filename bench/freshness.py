"""How old an event is when its version exists (publish) and when a reader predicts with it (serve).

A real broker, a producer at a set rate, `strandline run` and a following reader, all on this
machine. Events of a version are taken as spread evenly between its first and its last event's
time, as their producer's rate is constant. An event's age has five parts:

- in Kafka: from the newest event of the version to the cut of its epoch: the producer's linger,
  broker, fetch, and learning it
- waiting: from the event to the newest event of its version: the wait for the barrier
- merge: from the cut until the merged delta is durable
- commit: until the manifest exists: Flink's checkpoint, its notification, the commit
- adopt: until a reader serves the version
"""

import tempfile
import threading
import time
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final, Self

import numpy as np
from numpy.typing import NDArray

from bench.job import Job
from bench.output import finish, parser, progress, table
from bench.traffic import Traffic, prepared
from strandline.manifest import Manifest, TrainBody
from strandline.reading.reader import Reader
from strandline.store import Store, read_manifest
from strandline_flink.dev.broker import Broker

CHECKPOINTS_MS: Final = (100, 200, 1000)
RATES: Final = (5_000, 20_000, 100_000)  # events per second
BRIEF: Final = ((200, 5_000),)
PARTITIONS: Final = 4
WARM_UP_S: Final = 10.0
POINTS: Final = 21  # of a version's events, evenly spread
PARTS: Final = ("waiting", "in_kafka", "merge", "commit", "adopt")
SHARES: Final = {"p50": 50, "p95": 95, "p99": 99, "max": 100}
LAG_MAX_MS: Final = 10_000  # an older event says that the job does not keep up

Floats = NDArray[np.float64]


@dataclass(frozen=True, slots=True)
class Seen:
    """One version's times, ms since 1970."""

    events: int
    first_ms: float
    last_ms: float
    cut_ms: float
    merged_ms: float
    committed_ms: float
    served_ms: float


class Serving:
    """A reader that follows, and when it served which version first."""

    def __init__(self, store: Store) -> None:
        self._reader = Reader(store)
        self._stop = threading.Event()
        self._thread = threading.Thread(target=self._watch)
        self.swaps: list[tuple[int, float]] = []

    def __enter__(self) -> Self:
        self._reader.follow()
        self._thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._stop.set()
        self._thread.join()
        self._reader.close()

    def _watch(self) -> None:
        version = self._reader.model.version
        while not self._stop.is_set():
            try:
                version = self._reader.wait(version + 1, timeout_s=0.5).version
            except TimeoutError:
                continue
            self.swaps.append((version, time.time_ns() / 1e6))


def main() -> None:
    """Measure every combination and report."""
    arguments = parser(__doc__)
    arguments.add_argument("--seconds", type=float, default=30.0, help="per combination")
    arguments.add_argument("--mode", default="auto", help="where the job's Python runs")
    args = arguments.parse_args()
    combinations = BRIEF if args.brief else [(c, r) for c in CHECKPOINTS_MS for r in RATES]
    seconds = 4.0 if args.brief else args.seconds
    rows: list[dict[str, Any]] = []
    with tempfile.TemporaryDirectory(prefix="strandline-bench-") as name:
        folder = Path(name)
        prepared(folder / "traffic")
        with Broker(folder / "broker") as broker:
            for checkpoint_ms, rate in combinations:
                progress(f"checkpoints every {checkpoint_ms} ms, {rate} events/s")
                where = folder / f"{checkpoint_ms}-{rate}"
                options = (f"--checkpoint={checkpoint_ms}ms", f"--mode={args.mode}")
                row = measure(broker, where, rate, seconds, *options)
                rows.append({"checkpoint_ms": checkpoint_ms, **row})
                progress(f"serve p95 {row['serve_ms']['p95']} ms")
    finish("freshness", {"runs": rows, "seconds": seconds}, to_table(rows), args)


def measure(
    broker: Broker, folder: Path, rate: int, seconds: float, *options: str
) -> dict[str, Any]:
    """One job at one rate: warmed up, then watched."""
    topic = folder.name
    broker.create_topic(topic, PARTITIONS)
    with Job(folder, broker.bootstrap, topic, "--from=latest", *options) as job:
        job.wait_until("open", lambda: job.store.head() > 0)
        with Traffic(broker.bootstrap, topic, rate, folder.parent / "traffic"):
            first = job.wait_for_trained(0)
            time.sleep(min(WARM_UP_S, seconds))  # the JVM compiles what runs hot
            with Serving(job.store) as serving:
                first = job.store.head(first)
                time.sleep(seconds)
                last = job.store.head(first)
            versions = seen(job.store, serving.swaps, first + 1, last)
        job.stop()
    return {"rate": rate, **figures(versions, rate, seconds)}


def seen(store: Store, swaps: list[tuple[int, float]], first: int, last: int) -> list[Seen]:
    """Return the times of the versions [first, last] that a reader has served."""
    found: list[Seen] = []
    for version in range(first, last + 1):
        served = next((at_ms for swapped, at_ms in swaps if swapped >= version), None)
        manifest = read_manifest(store, version)
        if served is not None and isinstance(manifest.body, TrainBody):
            found.append(times(Path(store.url), manifest, manifest.body, served))
    return found


def times(folder: Path, manifest: Manifest, body: TrainBody, served_ms: float) -> Seen:
    """Return when the version's files were made; a link changes a file's ctime."""
    name = f"{manifest.version:010d}"
    committed = (folder / "versions" / name[:7] / f"{name}.json").stat().st_ctime_ns
    deltas = [folder / "deltas" / f"{each.sha256}.safetensors" for each in body.files]
    merged = max((delta.stat().st_mtime_ns for delta in deltas), default=committed)
    first_ms, last_ms = body.event_time_ms
    return Seen(
        events=body.counts.events,
        first_ms=first_ms,
        last_ms=last_ms,
        cut_ms=manifest.time_ms,
        merged_ms=merged / 1e6,
        committed_ms=committed / 1e6,
        served_ms=served_ms,
    )


def figures(versions: list[Seen], rate: int, seconds: float) -> dict[str, Any]:
    """Return the percentiles over events, ms."""
    weights = np.repeat([each.events / POINTS for each in versions], POINTS)
    parts: dict[str, Floats] = {
        "waiting": np.concatenate(
            [each.last_ms - np.linspace(each.first_ms, each.last_ms, POINTS) for each in versions]
        ),
        "in_kafka": spread([each.cut_ms - each.last_ms for each in versions]),
        "merge": spread([each.merged_ms - each.cut_ms for each in versions]),
        "commit": spread([each.committed_ms - each.merged_ms for each in versions]),
        "adopt": spread([each.served_ms - each.committed_ms for each in versions]),
    }
    serve = np.sum([parts[name] for name in PARTS], axis=0)
    publish = serve - parts["adopt"]
    return {
        "versions": len(versions),
        "learned_share": round(float(weights.sum()) / (rate * seconds), 3),
        "keeps_up": bool(serve.max() < LAG_MAX_MS),
        "publish_ms": percentiles(publish, weights),
        "serve_ms": percentiles(serve, weights),
        "parts_ms": {name: percentiles(parts[name], weights) for name in PARTS},
    }


def spread(values: list[float]) -> Floats:
    """Return a version's value for each of its points."""
    return np.repeat(np.array(values, np.float64), POINTS)


def percentiles(values: Floats, weights: Floats) -> dict[str, float]:
    """Return weighted percentiles: of all events, not of versions.

    >>> percentiles(np.array([10.0, 30.0, 20.0]), np.array([98.0, 1.0, 1.0]))
    {'p50': 10.0, 'p95': 10.0, 'p99': 20.0, 'max': 30.0}
    """
    order = np.argsort(values)
    reached = np.cumsum(weights[order])
    at = np.searchsorted(reached, [reached[-1] * share / 100 for share in SHARES.values()])
    found = values[order][np.minimum(at, len(values) - 1)]
    return {name: round(float(value), 1) for name, value in zip(SHARES, found, strict=True)}


def to_table(rows: list[dict[str, Any]]) -> str:
    """Return the Markdown table; parts are medians."""
    head = ["checkpoints, events/s", "publish p50 / p95 / p99 / max", "serve p50 / p95 / p99 / max"]
    lines = [
        [
            f"{row['checkpoint_ms']} ms, {row['rate']:,}"
            + ("" if row["keeps_up"] else " (behind)"),
            " / ".join(f"{value:.0f}" for value in row["publish_ms"].values()),
            " / ".join(f"{value:.0f}" for value in row["serve_ms"].values()),
            *(f"{row['parts_ms'][name]['p50']:.0f}" for name in PARTS),
        ]
        for row in rows
    ]
    return table([*head, *(name.replace("_", " ") for name in PARTS)], lines)


if __name__ == "__main__":
    main()
