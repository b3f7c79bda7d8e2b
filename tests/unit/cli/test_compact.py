"""A compactor that follows outlasts a store that is away."""

import threading
import time
from collections.abc import Callable
from pathlib import Path

import pytest

from strandline.cli import compact
from strandline.store import create_store
from strandline.transactions.transaction import open_stream
from strandline.upkeep import compactor
from strandline.upkeep.compactor import Compactor
from tests.streams import clicks, clicks_spec


def test_a_compactor_waits_for_a_store_that_is_away(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    for module in (compactor, compact):
        monkeypatch.setattr(module, "POLL_S", 0.01)
    here, away, stop = tmp_path / "store", tmp_path / "away", threading.Event()
    store = create_store(str(here), clicks_spec(bits=4))
    stream = open_stream(store, "events")
    for seed in range(3):
        with stream.begin() as transaction:
            transaction.learn(clicks(5, seed))
    follower = Compactor(store, every=2, keep_versions=0)
    here.rename(away)
    said: list[str] = []

    def heard() -> bool:
        said.append(capsys.readouterr().err)
        return "waits for its store" in "".join(said)

    thread = threading.Thread(
        target=compact.follow_on, args=(follower, stop), kwargs={"collect": True}
    )
    thread.start()
    wait_for(heard)
    time.sleep(0.1)
    away.rename(here)
    wait_for(lambda: store.bases() == [4])
    stop.set()
    thread.join(10)
    assert not thread.is_alive()
    heard()
    words = " ".join("".join(said).split())
    assert words.count("waits for its store, and goes on by itself") == 1, words
    assert str(here) in words


def wait_for(holds: Callable[[], bool]) -> None:
    deadline_s = time.monotonic() + 30
    while not holds():
        assert time.monotonic() < deadline_s
        time.sleep(0.01)
