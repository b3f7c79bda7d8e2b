"""What a run says of a store that hangs, is full or is away, while its job may wait for it."""

import threading
import time
from collections.abc import Callable
from pathlib import Path

import pytest

from strandline.errors import StoreDamaged, StoreUnavailable
from strandline.spec import Spec
from strandline.store import MemoryStore, create_store
from strandline_flink.launch import store_watch
from strandline_flink.launch.progress import Progress
from strandline_flink.launch.store_watch import StoreWatch
from strandline_flink.launch.troubles import Told
from tests.streams import CLICKS

LIMIT_S = 20


class Hanging(MemoryStore):
    """Answers only while `answers` is set, as a mount whose server is gone."""

    def __init__(self) -> None:
        super().__init__()
        self.answers = threading.Event()
        self.answers.set()

    def head(self, at_least: int = 0) -> int:
        self.answers.wait()
        return super().head(at_least)


def wait_until(holds: Callable[[], object]) -> None:
    deadline_s = time.monotonic() + LIMIT_S
    while not holds():
        assert time.monotonic() < deadline_s
        time.sleep(0.01)


@pytest.fixture(autouse=True)
def impatient(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(store_watch, "HANGING_S", 0.3)
    monkeypatch.setattr(store_watch, "STILL_S", 0.1)
    monkeypatch.setattr(store_watch, "TRY_EVERY_S", 0.05)


def test_store_that_hangs_is_told_and_so_is_its_return() -> None:
    store = Hanging()
    store.append(0, b"{}")
    told = Told()
    with StoreWatch(Progress(store, "events", "a" * 32)) as watch:
        store.answers.clear()
        wait_until(lambda: watch.trouble)
        trouble = watch.trouble
        assert trouble is not None
        (begun,) = told.news({trouble.kind: trouble}, trouble.since_ms)
        assert "has not answered a read: its disk or its mount hangs; check it. The job" in begun
        assert told.news({trouble.kind: trouble}, trouble.since_ms) == []
        store.answers.set()
        wait_until(lambda: watch.trouble is None)
        (over,) = told.news({}, trouble.since_ms + 3000)
        assert over == "the store answers again after 3 s, and the job goes on"


def test_store_that_takes_no_file_is_told_before_anything_else_notices(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    store = create_store(str(tmp_path / "store"), Spec.parse(CLICKS))
    sizes: list[int] = []

    def full(size_bytes: int) -> None:
        sizes.append(size_bytes)
        raise StoreUnavailable("the file system is full: free some space")

    progress = Progress(store, "events", "a" * 32)
    with StoreWatch(progress) as watch:
        monkeypatch.setattr(store, "check_writable", full)
        wait_until(lambda: watch.trouble)
        trouble = watch.trouble
        assert trouble is not None
        assert "free some space" in trouble.begun()
        progress.delta_bytes = 3 << 20
        wait_until(lambda: sizes[-1] == 6 << 20)
        assert watch.trouble == trouble, "it keeps the time it began at"
        monkeypatch.undo()
        wait_until(lambda: watch.trouble is None)
    assert list((tmp_path / "store" / "deltas").iterdir()) == []


def test_store_is_not_written_to_while_nothing_is_waited_for(tmp_path: Path) -> None:
    store = create_store(str(tmp_path / "store"), Spec.parse(CLICKS))
    progress = Progress(store, "events", "a" * 32)
    progress.opened = 0
    (tmp_path / "store" / "deltas").rename(tmp_path / "store" / "elsewhere")
    with StoreWatch(progress) as watch:
        time.sleep(0.5)
        assert watch.trouble is None


def test_damage_that_a_look_finds_ends_the_run(monkeypatch: pytest.MonkeyPatch) -> None:
    progress = Progress(MemoryStore(), "events", "a" * 32)

    def damaged(_: Progress) -> None:
        raise StoreDamaged("version 7 was altered")

    monkeypatch.setattr(Progress, "look", damaged)
    with StoreWatch(progress) as watch, pytest.raises(StoreDamaged):
        wait_until(watch.check)
