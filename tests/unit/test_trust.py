"""What fsck refuses nobody builds on: start, commit, reader, worker, merger, compactor."""

import json
import random
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from strandline.commit.opening import Opening, append_open
from strandline.encoding.canonical import canonical_json, sha256_hex
from strandline.errors import StoreDamaged
from strandline.learners.loading import make_learners
from strandline.learning.replica import Replica
from strandline.manifest import OpenKey
from strandline.reading.model import open_model
from strandline.reading.reader import Follower
from strandline.store import PosixStore, create_store, manifest_bytes, open_store
from strandline.store.chain import read_spec
from strandline.transactions.transaction import open_stream
from strandline.upkeep.compactor import Compactor
from strandline.upkeep.fsck import check_store
from tests.golden.commit_lines import resealed
from tests.streams import clicks, clicks_spec

Fields = dict[str, Any]
OTHER_RUN = "e" * 32


@pytest.fixture
def store(tmp_path: Path) -> PosixStore:
    store = create_store(str(tmp_path / "store"), clicks_spec(bits=6))
    stream = open_stream(store, "events")
    for seed in range(3):
        with stream.begin() as transaction:
            transaction.learn(clicks(5, seed))
    assert isinstance(store, PosixStore)
    return store


def put(store: PosixStore, version: int, data: bytes) -> None:
    path = store.root / "versions" / "0000000" / f"{version:010}.json"
    path.unlink(missing_ok=True)
    path.write_bytes(data)


def start(store: PosixStore) -> object:
    key = OpenKey(restored=None, submission=OTHER_RUN)
    return append_open(
        store, Opening("other", run=OTHER_RUN, key=key, positions={}, source={}, time_ms=0)
    )


BUILDERS: dict[str, Callable[[PosixStore], object]] = {
    "open_store": lambda store: open_store(store.url),
    "open_model": open_model,
    "reader": Follower,
    "start": start,
    "stream": lambda store: open_stream(store, "third"),
    "worker": lambda store: Replica(store, make_learners(read_spec(store)), store.head()),
    "compactor": lambda store: Compactor(store, every=store.head()).run_once(),
}


def forged(parent: bytes, fields: Fields, change: Callable[[Fields], object]) -> bytes:
    """A version after this one, as a writer with a defect would make it."""
    fields["parent"] = sha256_hex(parent)
    fields["version"] += 1
    fields["streams"]["events"]["version"] += 1
    change(fields)
    return resealed(canonical_json(fields))


FORGERIES: dict[str, Callable[[Fields], object]] = {
    "a parent of zeros": lambda f: f.update(parent="0" * 64),
    "positions gone back": lambda f: f["streams"]["events"]["positions"].update({"0": 0}),
    "another spec": lambda f: f.update(spec="0" * 64),
    "the same events again": lambda f: None,
}


@pytest.mark.parametrize("forgery", FORGERIES)
def test_nobody_builds_on_a_head_that_does_not_follow(store: PosixStore, forgery: str) -> None:
    """Whoever follows serves on; whoever starts is told what, expected and the next command."""
    stream = open_stream(store, "events")
    with stream.begin() as transaction:
        transaction.learn(clicks(3, 3))
    follower = Follower(store)
    replica: Replica[int] = Replica(store, make_learners(read_spec(store)), store.head())
    head = store.head()
    newest = manifest_bytes(store, head)
    put(store, head + 1, forged(newest, json.loads(newest), FORGERIES[forgery]))
    assert check_store(store).damages
    for name, build in BUILDERS.items():
        with pytest.raises(StoreDamaged, match=f"version {head + 1}"):
            build(store)
        assert store.head() == head + 1, name
    with pytest.raises(StoreDamaged, match="Nothing is built on it: `strandline fsck"):
        follower.step()
    assert follower.model.version == head
    with pytest.raises(StoreDamaged):
        replica.catch_up(lambda *_: False, lambda _: [])
    assert replica.version == head
    with pytest.raises(StoreDamaged), stream.begin() as transaction:
        transaction.learn(clicks(3, 9))
    assert store.head() == head + 1


def test_flipped_bits_of_head_are_noticed_by_everybody(store: PosixStore) -> None:
    head = store.head()
    sound = manifest_bytes(store, head)
    for bit in random.Random(1).sample(range(8 * len(sound)), 12):
        altered = bytearray(sound)
        altered[bit // 8] ^= 1 << bit % 8
        put(store, head, bytes(altered))
        assert check_store(store).damages
        for build in BUILDERS.values():
            with pytest.raises(StoreDamaged):
                build(store)
    put(store, head, sound)
    assert not check_store(store).damages
    for build in BUILDERS.values():
        build(store)


def test_a_version_in_the_middle_that_names_anothers_delta_is_in_no_base(store: PosixStore) -> None:
    middle, other = (json.loads(manifest_bytes(store, version)) for version in (3, 4))
    middle["body"]["files"] = other["body"]["files"]
    put(store, 3, resealed(canonical_json(middle)))
    with pytest.raises(StoreDamaged, match=r"version [34] does not follow"):
        Compactor(store, every=4).run_once()
    with pytest.raises(StoreDamaged, match=r"version [34] does not follow"):
        open_model(store, 4)
    assert store.bases() == []


@pytest.mark.parametrize("packed", [False, True])
def test_the_first_versions_are_gone(store: PosixStore, packed: bool) -> None:
    """It is no store that was never finished, and no new one may begin in its place."""
    first = store.root / "versions" / "0000000" / "0000000000.json"
    if packed:  # the segment of the first versions is gone, later ones stand
        (store.root / "versions" / "0000000").rename(store.root / "versions" / "0000001")
        for path in (store.root / "versions" / "0000001").iterdir():
            path.rename(path.with_name(f"{1_000 + int(path.stem):010}.json"))
    else:
        first.unlink()
    for call in (
        lambda: open_store(store.url),
        lambda: create_store(store.url, clicks_spec(bits=6)),
        PosixStore(store.root).head,
    ):
        with pytest.raises(StoreDamaged, match="versions are gone; restore them from a copy"):
            call()
    assert not first.exists()


def test_a_late_base_of_another_compactor_does_no_harm(store: PosixStore) -> None:
    """It stands below the base that the other one left alone, with no files in between."""
    late = Compactor(store, every=2)
    assert late.run_once() == 4
    base = bytes(store.base(4))
    store.discard_base(4)
    stream = open_stream(store, "events")
    for seed in range(3, 8):
        with stream.begin() as transaction:
            transaction.learn(clicks(5, seed))
    quick = Compactor(store, every=2, keep_versions=0)
    assert quick.cover() == store.head()
    quick.collect()
    store.put_base(4, base)
    assert not check_store(store).damages
    assert open_model(store).version == store.head()
    quick.collect()
    assert store.bases() == [store.head()]
    assert not check_store(store).damages


def test_a_file_lost_between_two_bases_is_damage(store: PosixStore) -> None:
    for every in (2, 4):
        Compactor(store, every=every).run_once()
    store.put_base(2, bytes(_base(store, 2)))
    (lost,) = [file["sha256"] for file in json.loads(manifest_bytes(store, 3))["body"]["files"]]
    store.discard("delta", lost)
    assert [damage.what for damage in check_store(store).damages] == [
        f"delta {lost}, named by version 3"
    ]


def _base(store: PosixStore, version: int) -> memoryview:
    compactor = Compactor(store, every=version)
    compactor._write(version, dict(open_model(store, version)._parameters))
    return store.base(version)
