"""A store with many versions: how many files it is, how long opening, listing and checking take.

`make bench-scale_versions ARGS="--versions 1000 100000 1000000 --folder /dev/shm"`

One library writer commits transactions of one event each, the whole way: learn, merge, stage the
delta, create the manifest. With --no-learning it commits changes made here, one row each: the
delta is encoded and staged and the commit decided and made as ever, without worker and merger.
With --partitions and --workers too, versions say as much as those of a job of that size do:

    make bench-scale_versions ARGS="--versions 432000 --partitions 64 --workers 16"

is a day at five versions a second. After every `--compact-every` versions a compactor writes a
base, removes the data of versions more than `--keep-versions` below head, and packs full folders.
At each of the sizes asked for, commands are timed as a user calls them, each in a process of its
own; `open` is the library's, from the URL to a prediction, by a store object that has seen nothing,
in a process that has its code compiled.

A folder in memory (/dev/shm) leaves out what fsync costs: it measures what grows with the number
of versions, not the disk.
"""

import json
import os
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Iterator
from functools import partial
from pathlib import Path
from typing import Any, TypeAlias

import numpy as np

from bench.epochs import Epochs
from bench.output import finish, parser, progress, table
from strandline.commit.committing import commit
from strandline.commit.opening import Opening, append_open
from strandline.commit.submission import new_submission
from strandline.learners.loading import make_learners, schemas_of
from strandline.manifest import OpenKey
from strandline.manifest.continuity import render_committable
from strandline.parameters.delta import DeltaFile
from strandline.spec import Spec
from strandline.store import Store, create_store, read_manifest, read_spec
from strandline.tables.changes import Changes
from strandline.transactions.transaction import open_stream
from strandline.upkeep.compactor import Compactor

Writer: TypeAlias = Callable[[Store], Iterator[int]]

SPEC = """
name = "scale"
label.path = "click"
features.item.kind = "category"
learners.ctr = {type = "ftrl", bits = 10}
learners.popularity = {type = "counts", feature = "item"}
"""
EMPTY: dict[str, Any] = {
    "checkpoint": None,
    "counts": {"events": 0, "learned": 0, "refused": 0, "rejected": 0},
    "deltas": [],
    "event_time_ms": [0, 0],
    "files": [],
    "prequential": {},
    "rejects": {"file": None, "reasons": {}},
}
BRIEF = [100, 200]
HEAD = (
    "versions",
    "names",
    "size",
    "manifests",
    "loose",
    "open the store",
    "open the model",
    "`log`",
    "`fsck`",
    "per commit",
)
OPEN = """
import json, sys, time
from strandline.reading.model import open_model
from strandline.store import open_store, read_spec
for _ in range(2):
    started = time.perf_counter()
    store = open_store(sys.argv[1])
    opened = time.perf_counter()
    open_model(store).predict([b'{"item": "1"}'])
    done = time.perf_counter()
spent_ms = [1e3 * (at - started) for at in (opened, done)]
print(json.dumps(dict(zip(("open_store_ms", "open_model_ms"), spent_ms, strict=True))))
"""


def main() -> None:
    """Drive a store to the sizes asked for, and say what was measured at each."""
    arguments = parser(__doc__)
    arguments.add_argument("--versions", type=int, nargs="+", default=[1_000, 100_000])
    arguments.add_argument("--folder", type=Path, default=Path(tempfile.gettempdir()))
    arguments.add_argument("--compact-every", type=int, default=1_000)
    arguments.add_argument("--keep-versions", type=int, default=1_000)
    arguments.add_argument("--no-learning", action="store_true", help="stage and commit only")
    arguments.add_argument("--partitions", type=int, default=1)
    arguments.add_argument("--workers", type=int, default=0, help="0: what --no-learning says")
    options = arguments.parse_args()
    sizes = BRIEF if options.brief else sorted(options.versions)
    measured: list[dict[str, Any]] = []
    with tempfile.TemporaryDirectory(dir=options.folder, prefix="strandline-scale-") as folder:
        store = create_store(os.path.join(folder, "store"), Spec.parse(SPEC))
        grown = 0
        for versions in sizes:
            started = time.perf_counter()
            write = stage_and_commit if options.no_learning else learn
            if options.workers:
                write = partial(commit_epochs, options.partitions, options.workers)
            grow(store, versions, write, options.compact_every, options.keep_versions)
            each_ms = 1e3 * (time.perf_counter() - started) / (versions - grown)
            grown = versions
            progress(f"{versions:,} versions, {each_ms:.2f} ms each")
            measured.append({"versions": versions, "commit_ms": each_ms} | measure(Path(store.url)))
    finish("scale_versions", {"sizes": measured}, table(HEAD, [row(m) for m in measured]), options)


def grow(store: Store, versions: int, write: Writer, every: int, keep: int) -> None:
    """Commit until head is this version, and compact as it goes."""
    compactor = Compactor(store, every=every, keep_versions=keep)
    for version in write(store):
        if version % every == 0:
            compactor.run_once()
            compactor.collect()
        if version >= versions:
            return


def learn(store: Store) -> Iterator[int]:
    """Yield the version of one transaction after the other, each of one event."""
    stream = open_stream(store, "events")
    while True:
        item = stream.position * 7 % 1000
        with stream.begin() as transaction:
            transaction.learn([b'{"item": "%d", "click": %d}' % (item, item % 2)])
        yield stream.version


def stage_and_commit(store: Store) -> Iterator[int]:
    """Yield the version of one commit after the other, each with a delta of one row."""
    stream = open_stream(store, "events")
    position = stream.position
    add = np.array([[1, 0]], np.int64)
    schemas = schemas_of(make_learners(read_spec(store)))
    while True:
        row = np.array([position * 7 % 1000], np.uint64)
        changes = {"popularity.counts": Changes(row, add)}
        delta = DeltaFile("events", stream.run, {"0": position}, changes).encode(schemas)
        ref = store.stage("delta", delta)
        file = {"bytes": ref.bytes, "replica": 0, "rows": {"popularity.counts": 1}, "seqs": {}}
        file |= {"sha256": ref.sha256, "shard": 0, "shards": 1, "time_ms": 0}
        committable = render_committable(
            after={"0": position + 1},
            before={"0": position},
            body=EMPTY | {"empty": [[0, position, position + 1]], "files": [file]},
            first={},
            run=stream.run,
            seqs={},
            stream="events",
            time_ms=0,
        )
        yield commit(store, committable).version
        position += 1


def commit_epochs(partitions: int, workers: int, store: Store) -> Iterator[int]:
    """Yield the version of one commit after the other, each as large as those of such a job."""
    head = read_manifest(store, store.head())
    run = new_submission(head.version)
    epochs = Epochs(partitions, workers, run, seed=head.version)
    if head.streams:
        epochs.goes_on(head.streams["events"])
    opening = Opening(
        "events",
        run=run,
        key=OpenKey(restored=None, submission=run),
        positions=epochs.positions,
        source={"cluster": "AKMBNGQk6ERQInLfLG4MIQ", "topic": "clicks", "topic_id": "I8Fs6REkSG"},
        time_ms=0,
        takeover=True,
    )
    version = append_open(store, opening)
    schemas = schemas_of(make_learners(read_spec(store)))
    for committable in epochs.committables(store, schemas, version + 1):
        yield commit(store, committable).version


def measure(store: Path) -> dict[str, Any]:
    """Count the files, and time what a user does."""
    names = [path for _, folders, files in os.walk(store) for path in (*folders, *files)]
    size = sum(file.stat().st_size for file in store.rglob("*") if file.is_file())
    opened = run([sys.executable, "-c", OPEN, str(store)])
    command = [sys.executable, "-m", "strandline.cli"]
    timed = {
        "log_s": [*command, "log", str(store), "--json"],
        "fsck_s": [*command, "fsck", str(store), "--json"],
    }
    versions = [path for path in (store / "versions").rglob("*") if path.is_file()]
    loose = [path for path in versions if path.suffix == ".json"]
    found: dict[str, Any] = {
        "names": len(names),
        "bytes": size,
        "manifest_bytes": sum(on_disk(path) for path in versions),
        "loose_bytes": sum(on_disk(path) for path in loose),
    } | json.loads(opened)
    for name, arguments in timed.items():
        started = time.perf_counter()
        answer = json.loads(run(arguments))
        found[name] = time.perf_counter() - started
        if name == "fsck_s":
            assert answer["sound"], answer["damages"]
    return found


def on_disk(path: Path) -> int:
    """Return what a file takes of the disk."""
    return path.stat().st_blocks * 512


def run(arguments: list[str]) -> str:
    """Return what a command prints."""
    return subprocess.run(arguments, check=True, capture_output=True, text=True).stdout


def row(measured: dict[str, Any]) -> list[str]:
    """Return one line of the table."""
    return [
        f"{measured['versions']:,}",
        f"{measured['names']:,}",
        f"{measured['bytes'] / 1e6:,.0f} MB",
        f"{measured['manifest_bytes'] / 1e6:,.1f} MB",
        f"{measured['loose_bytes'] / 1e6:,.1f} MB",
        f"{measured['open_store_ms']:.1f} ms",
        f"{measured['open_model_ms']:.0f} ms",
        f"{measured['log_s']:.2f} s",
        f"{measured['fsck_s']:.1f} s",
        f"{measured['commit_ms']:.2f} ms",
    ]


if __name__ == "__main__":
    main()
