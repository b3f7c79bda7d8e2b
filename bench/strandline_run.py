"""`strandline run` over a whole topic, as a user calls it, and when it did what."""

import json
import os
import re
import sys
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import datetime
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Final, NamedTuple, TextIO

from bench.contender import run_to_end
from bench.speed import Speed
from bench.topic import Topic
from strandline.manifest import TrainBody
from strandline.store import open_store
from strandline.store.chain import read_manifest

POLL_S: Final = 0.02
READS: Final = re.compile(
    r"^(\S+ \S+?),(\d{3}) .*BlockSource.* switched from INITIALIZING to RUNNING"
)


class Run(NamedTuple):
    """A run over a topic.

    `speed` counts from the moment the source could read its first event, Flink and the kernels
    being loaded, to the last commit; `start_s` is from the command to that moment, `whole_s` the
    command's, from its start to its end.
    """

    speed: Speed
    start_s: float
    whole_s: float
    versions: int


def run(
    topic: Topic, spec: str, folder: Path, *, mode: str, parallelism: int, checkpoint: str
) -> Run:
    """Learn the topic's events into a store of its own, which is removed."""
    with TemporaryDirectory(dir=folder, prefix="run-") as place:
        home = Path(place)
        (home / "spec.toml").write_text(spec)
        (home / "tmp").mkdir()
        command = [
            *(sys.executable, "-m", "strandline.cli", "run", str(home / "spec.toml")),
            *("--bootstrap", topic.bootstrap, "--topic", topic.name),
            *("--store", str(home / "store"), "--mode", mode, "--checkpoint", checkpoint),
            *("--parallelism", str(parallelism), "--bounded", "--json"),
        ]
        environment = {**os.environ, "TMPDIR": str(home / "tmp")}
        started_s = time.time()
        with logs(home / "tmp") as found:
            done = run_to_end("strandline run", command, env=environment)
        whole_s = time.time() - started_s
        summary = json.loads(done.stdout)
        assert summary["events"] == topic.events, summary
        reads_s = first_read_s(found)
        seconds = last_commit_s(str(home / "store"), summary["version"]) - reads_s
        (log_loss,) = summary["log_loss"].values()
        speed = Speed(summary["events"], seconds, log_loss, done.cpu_s)
        return Run(speed, reads_s - started_s, whole_s, summary["versions"])


@contextmanager
def logs(folder: Path) -> Iterator[list[TextIO]]:
    """Hold the logs of the run below a folder open: a run that ends well removes them."""
    found: dict[Path, TextIO] = {}
    stop = threading.Event()

    def look() -> None:
        while not stop.wait(POLL_S):
            for log in folder.glob("strandline-run-*/log/*.log"):
                if log not in found:
                    found[log] = log.open(errors="replace")

    thread = threading.Thread(target=look)
    thread.start()
    files: list[TextIO] = []
    try:
        yield files
    finally:
        stop.set()
        thread.join()
        files += found.values()


def first_read_s(files: list[TextIO]) -> float:
    """Return when the first source task began to read, by Flink's log, in seconds since 1970."""
    times: list[float] = []
    for file in files:
        with file:
            for line in file:
                if match := READS.match(line):
                    at = datetime.strptime(match[1], "%Y-%m-%d %H:%M:%S").astimezone()
                    times.append(at.timestamp() + int(match[2]) / 1000)
    assert times, "the logs do not say when the source began to read"
    return min(times)


def last_commit_s(store: str, version: int) -> float:
    """Return when a version's manifest was linked into place, in seconds since 1970."""
    assert isinstance(read_manifest(open_store(store), version).body, TrainBody)
    (manifest,) = (Path(store) / "versions").glob(f"*/{version:010d}.json")
    return manifest.stat().st_ctime_ns / 1e9
