"""Altered bytes of any file of a store are a typed error or harmless, never another model."""

import random
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pytest

from strandline import limits
from strandline.errors import StrandlineError
from strandline.reading.model import Model, open_model
from strandline.reading.reader import Follower
from strandline.store import PosixStore, create_store, posix, versions
from strandline.transactions.transaction import open_stream
from strandline.upkeep.compactor import Compactor
from strandline.upkeep.fsck import check_store
from strandline.upkeep.retention import KeptHistory
from tests.streams import clicks, clicks_spec

PROBES = clicks(20, seed=99)
KINDS = ("spec", "versions", "deltas", "rejects", "bases", "history")
FLIPS = 40


@pytest.fixture
def store(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> PosixStore:
    """A store that has files of every kind: segments and dropped history, too."""
    for module in (limits, versions):
        monkeypatch.setattr(module, "VERSIONS_PER_FOLDER", 3)
    monkeypatch.setattr(posix, "VERSIONS_UNPACKED_MIN", 1)
    store = create_store(str(tmp_path / "store"), clicks_spec(bits=4))
    assert isinstance(store, PosixStore)
    stream = open_stream(store, "events")
    compactor = Compactor(store, every=4, keep_versions=3, kept_history=KeptHistory(versions=6))
    for seed in range(14):
        with stream.begin() as transaction:
            transaction.learn([*clicks(6, seed), b"{"])
        compactor.run_once()
        compactor.collect()
    assert not check_store(store).damages
    return store


def files(store: PosixStore, kind: str) -> list[Path]:
    return sorted(path for path in (store.root / kind).rglob("*") if path.is_file())


def flipped(path: Path, rng: random.Random) -> Iterator[str]:
    """Flip single bits, the first bytes' among them; cut, and lengthen. The file is whole after."""
    good = path.read_bytes()
    places = [*range(min(8, len(good))), *(rng.randrange(len(good)) for _ in range(FLIPS))]
    variants = [(f"byte {at}", flip(good, at, rng.randrange(8))) for at in places]
    variants += [("cut", good[:-1]), ("empty", b""), ("longer", good + b"\n")]
    for what, data in variants:
        path.unlink()
        path.write_bytes(data)
        yield f"{path.parent.name}/{path.name}: {what}"
    path.unlink()
    path.write_bytes(good)


def flip(data: bytes, at: int, bit: int) -> bytes:
    return data[:at] + bytes([data[at] ^ 1 << bit]) + data[at + 1 :]


def scores_of(model: Model) -> bytes:
    scores, _ = model.predict(PROBES, "ctr")
    return np.asarray(scores).tobytes()


@pytest.mark.parametrize("kind", KINDS)
def test_altered_bytes_are_a_typed_error_or_harmless(store: PosixStore, kind: str) -> None:
    expected = scores_of(open_model(store))
    follower = Follower(store)
    rng = random.Random(kind)
    found = [path for path in files(store, kind) if path.stat().st_size]
    assert found, f"the store has files in {kind}"
    for path in rng.sample(found, min(3, len(found))):
        for what in flipped(path, rng):
            assert check_store(PosixStore(store.root)).damages, what
            try:
                scores = scores_of(open_model(PosixStore(store.root)))
            except StrandlineError:
                scores = expected
            assert scores == expected, what
            follower.step()
            assert scores_of(follower.model) == expected, what
    assert not check_store(PosixStore(store.root)).damages
