"""The bases that a run writes beside its job."""

import time
from pathlib import Path

import pytest

from strandline.spec import Spec
from strandline.store import create_store
from strandline.transactions.transaction import open_stream
from strandline_flink.launch import run
from tests.streams import CLICKS, clicks


def test_a_store_that_is_away_for_a_while_gets_its_bases_afterwards(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(run, "COMPACT_EVERY", 2)
    monkeypatch.setattr(run, "COMPACT_AGAIN_S", 0.05)
    store = create_store(str(tmp_path / "store"), Spec.parse(CLICKS))
    with open_stream(store, "events").begin() as transaction:
        transaction.learn(list(clicks(10, seed=1)))
    (tmp_path / "store").rename(tmp_path / "away")
    warnings: list[str] = []
    with run.compacting(store, warnings.append):
        time.sleep(0.3)
        assert not (tmp_path / "store").exists()
        (tmp_path / "away").rename(tmp_path / "store")
        deadline_s = time.monotonic() + 20
        while not store.bases() and time.monotonic() < deadline_s:
            time.sleep(0.05)
    assert store.bases() == [2]
    assert warnings == []
