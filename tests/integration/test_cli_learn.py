"""`strandline learn` against an independent count of its file, interrupted and taken up again."""

import json
import signal
import subprocess
import sys
import time
from pathlib import Path

from strandline.learners import make_learners
from strandline.parameters.base import parameters_at
from strandline.store import open_store, read_spec, verify_chain
from strandline_flink.dev.events import EventStream, clicks_spec
from strandline_flink.dev.reading import compare, read_counts

EVENTS = 60_000


def learn(folder: Path) -> subprocess.Popen[bytes]:
    command = [
        *(sys.executable, "-m", "strandline.cli", "learn", str(folder / "clicks.toml")),
        *("--input", str(folder / "events.ndjson"), "--store", str(folder / "store")),
        *("--epoch-events", "400", "--json"),
    ]
    return subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.PIPE)


def head(folder: Path) -> int:
    store = folder / "store"
    return len([*store.glob("versions/*/*.json")]) - 1


def interrupt(folder: Path, number: signal.Signals) -> int:
    """Start learning, send the signal once a few versions stand, and return the exit code."""
    child, before = learn(folder), head(folder)
    while head(folder) < before + 5:
        assert child.poll() is None, child.communicate()[1].decode()
        time.sleep(0.01)
    child.send_signal(number)
    _, errors = child.communicate(timeout=60)
    assert b"Traceback" not in errors
    return child.returncode


def test_learning_that_is_interrupted_and_killed_counts_every_event_once(tmp_path: Path) -> None:
    lines = EventStream(3, malformed_share=0.01).events(0, EVENTS)
    (tmp_path / "events.ndjson").write_bytes(b"\n".join(lines) + b"\n")
    (tmp_path / "clicks.toml").write_text(clicks_spec())

    assert interrupt(tmp_path, signal.SIGINT) == 130
    assert interrupt(tmp_path, signal.SIGKILL) == -signal.SIGKILL
    output, errors = learn(tmp_path).communicate(timeout=100)
    summary = json.loads(output)
    assert errors == b""
    assert summary["skipped"] >= 2800  # of each five versions one is an open, one the genesis
    assert summary["skipped"] + summary["events"] == EVENTS

    store = open_store(str(tmp_path / "store"))
    assert verify_chain(store, files=True) == summary["version"]
    spec = read_spec(store)
    records = ((0, offset, line) for offset, line in enumerate(lines))
    reading = read_counts(records, {0: (0, EVENTS)}, spec, "item")
    tables = parameters_at(store, make_learners(spec), summary["version"])
    difference = compare(reading, *tables["popularity.counts"].items(), "item")
    assert difference.none, difference
