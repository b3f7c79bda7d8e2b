"""`strandline top` as a user sees it: on a terminal, in a pipe, for programs."""

import json
import os
import pty
import re
import shutil
import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import replace
from pathlib import Path

import pytest

from strandline.cli.figures import calibration, log_loss
from strandline.cli.top_view import line
from strandline.cli.watching import TAKEN_MAX, Watch
from strandline.manifest import TrainBody
from strandline.metrics.prequential import add_sums
from strandline.store import Store, create_store, read_manifest
from strandline.transactions.local import learn
from tests.jobs import Job, block
from tests.streams import clicks, clicks_spec

EVENTS = clicks(400, 7)


def grow(store: Store, events: int, stream: str = "events") -> None:
    """Learn the first so many events of the stream, 50 a version."""
    learn(store, EVENTS[:events], stream, {"file": f"{stream}.ndjson"}, epoch_events=50)


@pytest.fixture
def store(tmp_path: Path) -> Store:
    made = create_store(str(tmp_path / "store"), clicks_spec(bits=8))
    grow(made, 200)
    return made


@contextmanager
def top(store: Store, *options: str) -> Iterator["subprocess.Popen[str]"]:
    command = [sys.executable, "-m", "strandline.cli", "top", store.url, *options]
    process = subprocess.Popen(
        command, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True, bufsize=1
    )
    try:
        yield process
    finally:
        process.kill()
        process.communicate()


def next_line(process: "subprocess.Popen[str]") -> str:
    assert process.stdout is not None
    line = process.stdout.readline()
    assert line.endswith("\n"), "whole lines only"
    return line


def end(process: "subprocess.Popen[str]", number: int) -> str:
    """Send the signal; return what was still printed, after a clean end."""
    process.send_signal(number)
    printed, complaints = process.communicate(timeout=20)
    assert (process.returncode, complaints) == (0, "")
    return printed


def test_json_is_one_line_for_head_and_one_for_each_version_that_comes(store: Store) -> None:
    head = store.head()
    with top(store, "--json") as process:
        first = json.loads(next_line(process))
        assert (first["version"], first["kind"], first["freshness_ms"]) == (head, "train", None)
        grow(store, 400)
        lines = [json.loads(next_line(process)) for _ in range(store.head() - head)]
        assert end(process, signal.SIGINT) == ""
    assert [each["version"] for each in lines] == list(range(head + 1, store.head() + 1))
    trained = [each for each in lines if each["kind"] == "train"]
    assert sum(each["events"] for each in trained) == 200
    assert trained[-1]["positions"] == {"0": 400}
    for each in trained:
        body = read_manifest(store, each["version"]).body
        assert isinstance(body, TrainBody)
        assert each["files"] == len(body.files) > 0
        assert each["bytes"] == sum(file.bytes for file in body.files)


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
def test_in_a_pipe_it_is_a_plain_line_a_second(store: Store, number: int) -> None:
    began_s = time.monotonic()
    with top(store) as process:
        lines = [next_line(process) for _ in range(3)]
        assert time.monotonic() - began_s > 1.5, "two seconds lie between three lines"
        end(process, number)
    assert all("\x1b" not in line for line in lines)
    assert lines[0].startswith(f"version {store.head()} (train, ")
    assert "events {0: 200}" in lines[0]
    assert "log-loss ctr" in lines[0]


def drawn(store: Store, **variables: str) -> bytes:
    """What a terminal gets until Ctrl-C."""
    ours, theirs = pty.openpty()
    command = [sys.executable, "-m", "strandline.cli", "top", store.url]
    environment = {**os.environ, "COLUMNS": "120", "LINES": "40", "TERM": "xterm", **variables}
    process = subprocess.Popen(
        command, stdin=theirs, stdout=theirs, stderr=theirs, env=environment, close_fds=True
    )
    os.close(theirs)
    printed = b""
    try:
        while printed.count(b"freshness") < 2:
            printed += os.read(ours, 65_536)
        process.send_signal(signal.SIGINT)
        while chunk := read_to_hangup(ours):
            printed += chunk
        assert process.wait(20) == 0
    finally:
        process.kill()
        process.wait()
        os.close(ours)
    return printed


def test_on_a_terminal_it_is_a_picture_and_ctrl_c_gives_the_terminal_back(store: Store) -> None:
    printed = drawn(store)
    assert b"calibration" in printed
    assert b"0: 200" in printed
    assert b"Traceback" not in printed
    assert printed.rindex(b"\x1b[?25h") > printed.rindex(b"\x1b[?25l"), "the cursor is back"


def test_under_no_color_nothing_is_coloured_bold_or_dim(store: Store) -> None:
    styled = re.compile(rb"\x1b\[[0-9;]*m")
    assert styled.search(drawn(store))
    assert not styled.search(drawn(store, NO_COLOR="1"))


def read_to_hangup(terminal: int) -> bytes:
    try:
        return os.read(terminal, 65_536)
    except OSError:  # the other side is closed
        return b""


def test_a_store_that_goes_away_is_waited_for(store: Store, tmp_path: Path) -> None:
    """A mount that comes back: what was committed in between is shown."""
    with top(store, "--json") as process:
        next_line(process)
        shutil.move(tmp_path / "store", tmp_path / "away")
        assert process.stderr is not None
        assert process.stderr.readline().startswith("warning: waiting for the store")
        shutil.move(tmp_path / "away", tmp_path / "store")
        grow(store, 250)
        assert json.loads(next_line(process))["version"] == store.head() - 1
        assert json.loads(next_line(process))["version"] == store.head()


def test_no_store_is_an_error_at_the_start(tmp_path: Path) -> None:
    command = [sys.executable, "-m", "strandline.cli", "top", str(tmp_path / "none")]
    done = subprocess.run(command, capture_output=True, text=True, timeout=60, check=False)
    assert done.returncode == 4
    assert done.stderr.startswith("error: ")


def test_sums_are_those_of_the_versions_and_recent_ones_pass(
    store: Store, monkeypatch: pytest.MonkeyPatch
) -> None:
    watch = Watch.begin(store, 1000)
    bodies = [read_manifest(store, version).body for version in range(store.head() + 1)]
    trained = [body for body in bodies if isinstance(body, TrainBody)]
    sums = add_sums(body.prequential["ctr"] for body in trained)
    assert (watch.since, watch.total.versions, watch.total.events) == (0, 4, 200)
    assert watch.total == watch.recent
    assert log_loss(watch.total.prequential["ctr"]) == log_loss(sums)
    assert calibration(watch.total.prequential["ctr"]) == calibration(sums)
    now_ms = time.time_ns() // 1_000_000
    monkeypatch.setattr("strandline.cli.watching.wall_clock_ms", lambda: now_ms + 60_000)
    assert watch.recent.versions == 0
    grow(store, 300)
    assert len(watch.look()) == 3, "an open and two commits"
    assert (watch.recent.events, watch.total.events) == (100, 300)
    assert watch.look() == []


def test_freshness_is_of_versions_seen_to_come_by_their_newest_event(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """Written 300 ms before it is seen; what was there before was seen by nobody."""
    now_ms = 1_800_000_000_000
    monkeypatch.setattr("strandline.cli.watching.wall_clock_ms", lambda: now_ms)
    monkeypatch.setattr("tests.jobs.block", lambda *fields: replace(
        block(*fields), time_first_ms=now_ms - 900, time_last_ms=now_ms - 300
    ))  # fmt: skip
    memory = create_store("memory:", clicks_spec(bits=8))
    job = Job(memory)
    job.epoch({0: EVENTS[:50]})
    job.commit()
    watch = Watch.begin(memory, 10)
    assert (watch.total.events, watch.recent_freshness_ms) == (50, None)
    job.epoch({0: EVENTS[50:100]})
    job.commit()
    assert [seen.freshness_ms for seen in watch.look()] == [300]
    assert watch.recent_freshness_ms == 300
    assert "freshness 300 ms" in line(watch)
    now_ms += 60_000
    assert watch.recent_freshness_ms is None


@pytest.mark.parametrize(
    ("time", "unit"), [(1_800_000_000, "seconds"), (1_800_000_000_000_000, "microseconds")]
)
def test_record_times_of_another_unit_are_named_and_no_freshness_is_shown(
    time: int, unit: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("tests.jobs.block", lambda *fields: replace(
        block(*fields), time_first_ms=time, time_last_ms=time
    ))  # fmt: skip
    memory = create_store("memory:", clicks_spec(bits=8))
    watch = Watch.begin(memory, 10)
    job = Job(memory)
    job.epoch({0: EVENTS[:50]})
    job.commit()
    assert [seen.freshness_ms for seen in watch.look()] == [None, None]
    assert f"freshness unknown: record times in {unit}" in line(watch)


def test_a_short_history_leaves_out_old_versions_but_no_stream(store: Store) -> None:
    grow(store, 100, "other")
    watch = Watch.begin(store, 2)
    assert watch.since == store.head() - 1
    assert (watch.total.versions, watch.total.events) == (2, 100)
    assert sorted(watch.streams) == ["events", "other"]
    assert watch.streams["events"].entry.positions == {"0": 200}


def test_a_long_way_behind_is_taken_in_bounded_steps(
    store: Store, monkeypatch: pytest.MonkeyPatch
) -> None:
    watch = Watch.begin(store, 1)
    monkeypatch.setattr("strandline.cli.watching.TAKEN_MAX", 2)
    assert TAKEN_MAX > 2
    grow(store, 400)
    assert [len(watch.look()) for _ in range(4)] == [2, 2, 1, 0]
    assert watch.newest.version == store.head()
