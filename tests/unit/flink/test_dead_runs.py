"""Folders of dead runs in the temporary folder, and what the next start makes of them."""

import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest

from strandline_flink.cluster import dead_runs
from strandline_flink.cluster.dead_runs import LOCK, PREFIX, hold, sweep

HOLDER = """
import sys, time
from pathlib import Path
from strandline_flink.cluster.dead_runs import hold
held = hold(Path(sys.argv[1]))
print("held", flush=True)
time.sleep(60)
"""


def left_by_a_run(parent: Path, name: str = "1-abc", *, lock: bool = True) -> Path:
    """A folder as a killed run leaves it."""
    folder = parent / f"{PREFIX}{name}"
    for part in ("conf", "log", "tmp/blobs"):
        (folder / part).mkdir(parents=True)
    (folder / "tmp" / "blobs" / "a.jar").write_bytes(b"jar")
    (folder / "log" / "train.log").write_text("the reason")
    if lock:
        (folder / LOCK).touch()
    return folder


def aged(folder: Path, seconds: float) -> None:
    then_s = time.time() - seconds
    os.utime(folder, (then_s, then_s))


def test_only_the_logs_of_a_dead_run_stay_and_only_for_a_day(tmp_path: Path) -> None:
    folder = left_by_a_run(tmp_path)
    sweep(tmp_path)
    assert sorted(path.name for path in folder.iterdir()) == [LOCK, "log"]
    assert (folder / "log" / "train.log").read_text() == "the reason"
    aged(folder, dead_runs.KEPT_S + 60)
    sweep(tmp_path)
    assert not folder.exists()


def test_a_crash_loop_keeps_the_newest_logs_only(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(dead_runs, "KEPT_FOLDERS", 2)
    folders = [left_by_a_run(tmp_path, f"{number}-x") for number in range(4)]
    for number, folder in enumerate(folders):
        aged(folder, 400 - 100 * number)
    sweep(tmp_path)
    sweep(tmp_path)
    assert [folder.exists() for folder in folders] == [False, False, True, True]


def test_a_run_that_lives_keeps_everything_until_it_is_killed(tmp_path: Path) -> None:
    folder = left_by_a_run(tmp_path)
    command = [sys.executable, "-c", HOLDER, str(folder)]
    with subprocess.Popen(command, stdout=subprocess.PIPE, text=True) as holder:
        assert holder.stdout is not None
        assert holder.stdout.readline() == "held\n"
        aged(folder, dead_runs.KEPT_S + 60)
        sweep(tmp_path)
        assert (folder / "tmp" / "blobs" / "a.jar").exists()
        holder.send_signal(signal.SIGKILL)
    sweep(tmp_path)
    assert not folder.exists()


def test_a_run_of_this_process_counts_as_alive(tmp_path: Path) -> None:
    folder = left_by_a_run(tmp_path)
    held = hold(folder)
    sweep(tmp_path)
    assert (folder / "tmp").exists()
    os.close(held)
    sweep(tmp_path)
    assert not (folder / "tmp").exists()


def test_a_folder_that_is_just_being_made_is_left_alone(tmp_path: Path) -> None:
    folder = left_by_a_run(tmp_path, lock=False)
    sweep(tmp_path)
    assert (folder / "tmp").exists()
    aged(folder, dead_runs.MAKING_S + 60)
    sweep(tmp_path)
    assert not (folder / "tmp").exists()


def test_folders_of_others_and_links_are_left_alone(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    target = left_by_a_run(tmp_path / "elsewhere")
    link = tmp_path / f"{PREFIX}2-link"
    link.symlink_to(target)
    sweep(tmp_path)
    assert (target / "tmp").exists()
    folder = left_by_a_run(tmp_path)
    monkeypatch.setattr(os, "getuid", lambda: 54_321)
    sweep(tmp_path)
    assert (folder / "tmp").exists()
