"""Bases save time and nothing else: opening over one gives the bits of the fold from genesis."""

import logging
import threading
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
from msgspec import structs

from strandline.encoding.tensors import decode, encode
from strandline.errors import DeltaDamaged, StoreDamaged, VersionGone
from strandline.learners.loading import empty_parameters, make_learners, schemas_of
from strandline.manifest import FileEntry, Manifest, TrainBody
from strandline.parameters import base
from strandline.parameters.base import parameters_at
from strandline.reading.model import open_model
from strandline.store import MemoryStore, Store, create_store, manifest_bytes, read_manifest
from strandline.tables.table import Parameters, apply_changes
from strandline.upkeep import compactor, garbage
from strandline.upkeep.compactor import Collected, Compactor
from tests.jobs import Job
from tests.streams import clicks, clicks_spec

SPEC = clicks_spec(bits=10)
LEARNERS = make_learners(SPEC)


def grown(url: str = "memory:", epochs: int = 11) -> Store:
    store = create_store(url, SPEC)
    job = Job(store)
    for seed in range(epochs):
        job.epoch({0: clicks(60, seed)})
        job.commit()
    return store


def bits(parameters: Parameters) -> list[bytes]:
    return [part.tobytes() for name in sorted(parameters) for part in parameters[name].items()]


def without_bases(store: Store, version: int) -> Parameters:
    parameters = empty_parameters(LEARNERS)
    schemas = schemas_of(LEARNERS)
    for at in range(1, version + 1):
        manifest = read_manifest(store, at)
        apply_changes(parameters, base.read_changes(store, manifest, schemas))
    return parameters


def test_a_delta_that_a_version_may_not_name_is_refused_and_named() -> None:
    """Its bytes have their digest, so whoever wrote it made it so."""
    store, schemas = grown(epochs=1), schemas_of(LEARNERS)
    manifest = read_manifest(store, store.head())
    assert isinstance(manifest.body, TrainBody)
    (file,) = manifest.body.files

    def naming(changed: FileEntry) -> Manifest:
        return structs.replace(manifest, body=structs.replace(manifest.body, files=[changed]))

    junk = store.stage("delta", b"no tensors")
    for changed, says in (
        (structs.replace(file, sha256=junk.sha256, bytes=junk.bytes), "not a safetensors file"),
        (structs.replace(file, shard=1, shards=2), "it is of shard 0 of 1, .* says shard 1 of 2"),
    ):
        with pytest.raises(DeltaDamaged, match=f"delta {changed.sha256} of version 2: .*{says}"):
            base.read_changes(store, naming(changed), schemas)
    assert base.read_changes(store, naming(file), schemas)


def test_every_version_opens_with_the_bits_of_the_fold_from_genesis(tmp_path: Path) -> None:
    store = grown(str(tmp_path / "store"))
    assert Compactor(store, every=5).run_once() == 10
    assert Compactor(store, every=4).run_once() == 12
    assert Compactor(store, every=3).run_once() is None
    assert store.bases() == [10, 12]
    for version in range(store.head() + 1):
        assert bits(parameters_at(store, LEARNERS, version)) == bits(without_bases(store, version))


def test_opening_reads_the_newest_base_and_only_later_deltas() -> None:
    store = grown()
    assert isinstance(store, MemoryStore)
    Compactor(store, every=6).run_once()
    for number in range(1, 13):  # deltas up to the base are gone: nobody reads them
        body = read_manifest(store, number).body
        for file in getattr(body, "files", []):
            del store._files["delta", file.sha256]
    assert open_model(store, 12).version == 12
    with pytest.raises(VersionGone, match="oldest version that can be opened is 12, the newest 12"):
        open_model(store, 11)


def test_a_compactor_that_goes_on_writes_what_a_fresh_one_writes() -> None:
    store = create_store("memory:", SPEC)
    assert isinstance(store, MemoryStore)
    job, kept = Job(store), Compactor(store, every=2)
    written = []
    for seed in range(9):
        job.epoch({0: clicks(30, seed)})
        job.commit()
        written.append(kept.run_once())
    assert written == [2, None, 4, None, 6, None, 8, None, 10]
    mine = dict(store._bases)
    store._bases.clear()
    assert Compactor(store, every=2).run_once() == 10
    assert store._bases[10] == mine[10]


def test_a_compactor_that_met_a_failure_half_way_applies_no_version_twice() -> None:
    store = create_store("memory:", SPEC)
    assert isinstance(store, MemoryStore)
    job, kept = Job(store), Compactor(store, every=4)
    for seed in range(7):
        job.epoch({0: clicks(30, seed)})
        job.commit()
        if store.head() < 8:
            assert kept.run_once() == (4 if store.head() == 4 else None)
    body = read_manifest(store, 8).body
    assert isinstance(body, TrainBody)
    (file,) = body.files
    data = store._files.pop(("delta", file.sha256))
    with pytest.raises(StoreDamaged):
        kept.run_once()
    store._files["delta", file.sha256] = data
    assert kept.run_once() == 8
    assert bits(parameters_at(store, LEARNERS, 8)) == bits(without_bases(store, 8))


def test_a_compactor_that_goes_on_reads_each_manifest_once(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """However long the line of versions; what came since is kept like what was read before."""
    store = create_store("memory:", SPEC)
    job, collector = Job(store), Compactor(store, every=100)
    read: list[int] = []

    def counted(of: Store, version: int) -> Manifest:
        read.append(version)
        return read_manifest(of, version)

    monkeypatch.setattr(garbage, "read_manifest", counted)
    for seed in range(6):
        job.epoch({0: clicks(30, seed)})
        job.commit()
        assert collector.collect() == Collected()
    as_head, for_its_files = range(2, store.head() + 1), range(1, store.head() + 1)
    assert sorted(read) == sorted([*as_head, *for_its_files])
    assert open_model(store).version == store.head()


def test_a_compactor_needs_a_positive_step() -> None:
    with pytest.raises(ValueError, match="every is 0"):
        Compactor(grown(epochs=1), every=0)


def test_follow_writes_until_it_is_stopped(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(compactor, "POLL_S", 0.01)
    store, stop = grown(epochs=3), threading.Event()
    thread = threading.Thread(target=Compactor(store, every=2).follow, args=(stop,))
    thread.start()
    while store.bases() != [4]:
        stop.wait(0.01)
    stop.set()
    thread.join(5)
    assert not thread.is_alive()


def flip(data: bytes) -> bytes:
    return data[:-9] + bytes([data[-9] ^ 1]) + data[-8:]


def with_metadata(**changed: str) -> Callable[[bytes], bytes]:
    def change(data: bytes) -> bytes:
        tensors, metadata = decode(data)
        return encode(tensors, metadata | changed)

    return change


def not_finite(data: bytes) -> bytes:
    tensors, metadata = decode(data)
    tensors["ctr.zn/values"] = np.full_like(tensors["ctr.zn/values"], np.nan)
    return encode(tensors, metadata | {"digest": base._digest(tensors)})


def one_table_less(data: bytes) -> bytes:
    tensors, metadata = decode(data)
    del tensors["ctr.zn/values"]
    return encode(tensors, metadata | {"digest": base._digest(tensors)})


def narrower(data: bytes) -> bytes:
    tensors, metadata = decode(data)
    tensors["ctr.zn/values"] = tensors["ctr.zn/values"][:-1]
    return encode(tensors, metadata | {"digest": base._digest(tensors)})


@pytest.mark.parametrize(
    ("damage", "says"),
    [
        (flip, "digest"),
        (lambda data: data[:-1], "do not hold"),
        (lambda _: b"x", "not a safetensors"),
        (with_metadata(format="2"), "format '2'"),
        (with_metadata(version="4"), "version 4"),
        (with_metadata(manifest="0" * 64), "manifest 000"),
        (not_finite, "finite"),
        (one_table_less, "expected"),
        (narrower, "values are float32"),
    ],
)
def test_a_damaged_base_is_passed_over_with_a_warning(
    damage: Callable[[bytes], bytes], says: str, caplog: pytest.LogCaptureFixture
) -> None:
    store = grown()
    assert isinstance(store, MemoryStore)
    for every in (4, 5):
        Compactor(store, every=every).run_once()
    expected = bits(without_bases(store, 12))
    store._bases[12] = damage(store._bases[12])
    with caplog.at_level(logging.WARNING):
        assert bits(parameters_at(store, LEARNERS, 12)) == expected
    (record,) = caplog.records
    assert "base 12 is passed over" in record.getMessage()
    assert says in record.getMessage()
    with pytest.raises(StoreDamaged, match=says):
        base.read_base(store, 12, LEARNERS)


def test_data_stays_while_the_base_that_covers_it_is_damaged() -> None:
    store = grown()
    assert isinstance(store, MemoryStore)
    Compactor(store, every=4).run_once()
    expected = bits(without_bases(store, 12))
    store._bases[12] = b"x"
    assert Compactor(store, every=100, keep_versions=0).collect() == Collected()
    assert bits(parameters_at(store, LEARNERS, 12)) == expected


def test_a_base_of_another_line_of_versions_is_passed_over() -> None:
    """A folder copied together from two stores: the base's manifest is not this store's."""
    one, other = grown(), create_store("memory:", SPEC)
    assert isinstance(one, MemoryStore)
    job = Job(other, run=7)
    for seed in range(11):
        job.epoch({0: clicks(60, seed + 100)})
    job.commit()
    Compactor(other, every=4).run_once()
    expected = bits(without_bases(one, 12))
    one.put_base(12, bytes(other.base(12)))
    assert manifest_bytes(one, 12) != manifest_bytes(other, 12)
    assert bits(parameters_at(one, LEARNERS, 12)) == expected
