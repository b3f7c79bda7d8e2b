"""What holds for the upkeep of every store: garbage, retention, checks and repairs."""

import numpy as np
import pytest
from msgspec import structs

from strandline import limits
from strandline.encoding.tensors import decode, encode
from strandline.errors import FileMissing, HistoryGone, Rival, StoreDamaged, Superseded, VersionGone
from strandline.manifest import genesis
from strandline.parameters.base import _digest as digest_of_tensors
from strandline.reading.model import open_model
from strandline.store import Store, log, manifest_bytes, posix, verify_chain, versions
from strandline.store.history import parse_record
from strandline.upkeep.compactor import Collected, Compactor
from strandline.upkeep.fsck import check_store, repair_store
from strandline.upkeep.garbage import StagedFile, files_of, find_garbage, staged_data
from strandline.upkeep.retention import KeptHistory, dropped_totals
from tests.conformance.stores import KINDS, Harness, filled
from tests.golden.commit_lines import C1, line
from tests.jobs import Job
from tests.streams import clicks, clicks_spec

SMALL = clicks_spec(bits=6)


def check_staged_files_are_listed_until_they_are_discarded(harness: Harness) -> None:
    store = harness.make()
    for kind in KINDS:
        assert store.staged(kind) == []
        names = sorted(store.stage(kind, f"{kind} {n}".encode()).sha256 for n in range(3))
        assert store.staged(kind) == names
        store.discard(kind, names[1])
        store.discard(kind, names[1])
        assert store.staged(kind) == [names[0], names[2]]
        with pytest.raises(FileMissing):
            store.read(kind, names[1])
    with pytest.raises(StoreDamaged, match="not a SHA-256"):
        store.discard("delta", "../spec/" + "0" * 64)


def check_a_discarded_base_stays_with_whoever_holds_it(harness: Harness) -> None:
    store = harness.make()
    store.put_base(100, b"one hundred")
    base = store.base(100)
    store.discard_base(100)
    store.discard_base(100)
    assert store.bases() == []
    assert bytes(base) == b"one hundred"
    with pytest.raises(FileMissing):
        store.base(100)
    store.put_base(100, b"another")
    assert bytes(store.base(100)) == b"another"


def check_nothing_is_left_over_by_writers_that_end(harness: Harness) -> None:
    store = filled(harness, line().commit(C1).manifests)
    store.put_base(1, b"base")
    assert store.leftovers() == store.leftovers(discard=True) == []
    assert verify_chain(store, files=True) == 2


def check_a_commit_in_doubt_keeps_its_files(harness: Harness) -> None:
    """Prepared and never answered: nothing says how its commit ends, so nothing of it may go."""
    store = trained(harness)
    job = Job(store, run=7)
    job.epoch({0: [*clicks(20, 3), b"not an event"]})
    staged = set(staged_data(store))
    for _ in range(3):
        assert find_garbage(store) == []
        assert set(find_garbage(store, after=store.head())) == named(store)
    assert len(staged - named(store)) == 2
    job.commit()
    assert named(store) == set(staged_data(store))
    assert check_store(store).damages == []


def check_rejects_in_doubt_outlast_the_progress_of_another_stream(harness: Harness) -> None:
    """Rejected events do not say which stream they are of; the other stream is far past theirs."""
    store = trained(harness)
    job = Job(store, stream="other", run=9)
    job.epoch({0: [b"nor is this"]})
    assert find_garbage(store) == []
    job.commit()
    assert check_store(store).damages == []


def check_the_files_of_a_superseded_run_are_garbage(harness: Harness) -> None:
    store = trained(harness)
    kept = set(staged_data(store))
    dead = Job(store, run=7)
    dead.epoch({0: clicks(20, 3)})
    (lost,) = set(staged_data(store)) - kept
    Job(store, run=8)
    assert find_garbage(store) == [lost]
    with pytest.raises(Superseded):
        dead.commit()
    report = check_store(store)
    assert (report.damages, report.garbage) == ([], [lost])
    assert repair_store(store, report) == [f"delta {lost.sha256}"]
    assert set(staged_data(store)) == kept
    assert check_store(store) == structs.replace(report, garbage=[])


def check_files_that_head_has_passed_are_garbage(harness: Harness) -> None:
    """Two merges of the same events by one run: one was committed, the other never can be."""
    store = trained(harness)
    one, two = Job(store, run=7), Job(store, run=7)
    for job, seed in ((one, 3), (two, 4)):
        job.epoch({0: [*clicks(20, seed), b"%d is no event" % seed]})
    assert find_garbage(store) == []
    one.commit()
    assert len(find_garbage(store)) == 2
    with pytest.raises(Rival):
        two.commit()
    assert set(find_garbage(store)) == set(staged_data(store)) - named(store)


def check_fsck_finds_every_damage(harness: Harness) -> None:
    sound = trained(harness)
    Compactor(sound, every=2).run_once()
    report = check_store(sound)
    assert (report.damages, report.garbage, report.bases) == ([], [], [4])
    assert (report.head, report.opens_from, report.gone) == (5, 0, 0)
    assert report.files == len(named(sound))
    for version in range(6):
        store = trained(harness)
        harness.damage_version(store, version, manifest_bytes(sound, version)[:-1])
        damaged = {each.what for each in check_store(store).damages}
        assert f"version {version}" in damaged
        assert check_store(store).garbage == []
    for kind, sha256 in named(sound):
        for data in (None, b"other bytes"):
            store = trained(harness)
            harness.damage(store, kind, sha256, data)
            (damage,) = check_store(store).damages
            assert damage.what.startswith(f"{kind} {sha256}, named by version ")
            repair_store(store, check_store(store))
            assert len(check_store(store).damages) == 1, "a referenced file is never removed"


def check_fsck_repairs_a_damaged_base(harness: Harness) -> None:
    store = trained(harness)
    Compactor(store, every=2).run_once()
    good = bytes(store.base(4))
    tensors, metadata = decode(good)
    tensors["ctr.zn/values"] = tensors["ctr.zn/values"] + np.float32(1)
    whole = encode(tensors, metadata | {"digest": digest_of_tensors(tensors)})
    for bad in (good[:-1], b"", b"x", whole):
        store.discard_base(4)
        store.put_base(4, bad)
        report = check_store(store)
        assert [each.what for each in report.damages] == ["base 4"]
        assert (report.damaged_bases, report.bases, report.opens_from) == ([4], [], 0)
        assert repair_store(store, report) == ["base 4"]
        assert check_store(store).damages == []
    assert Compactor(store, every=2).run_once() == 4
    assert bytes(store.base(4)) == good


def check_no_base_is_damaged_because_the_spec_cannot_be_read(harness: Harness) -> None:
    """The spec names a learner that another release or package brings; old deltas are gone."""
    other = SMALL.to_json().replace(b'"type":"ftrl"', b'"type":"ema"')
    store = harness.make()
    ref = store.stage("spec", other)
    store.append(0, genesis(ref.sha256))
    twin = trained(harness)
    Compactor(twin, every=2).run_once()
    store.put_base(0, twin.base(4))
    report = check_store(store)
    assert [each.what for each in report.damages] == [f"spec {ref.sha256}"]
    assert (report.bases, report.damaged_bases, report.opens_from) == ([], [], None)
    assert repair_store(store, report) == []
    assert store.bases() == [0]


def check_no_base_is_damaged_because_genesis_is(harness: Harness) -> None:
    store = trained(harness)
    Compactor(store, every=2).run_once()
    harness.damage_version(store, 0, b"{}")
    report = check_store(store)
    assert {each.what for each in report.damages} == {"version 0"}
    assert (report.bases, report.damaged_bases, report.opens_from) == ([4], [], 4)


def check_retention_keeps_what_it_says(harness: Harness) -> None:
    store = trained(harness)
    expected = {version: scores(store, version) for version in range(6)}
    compactor = Compactor(store, every=2, keep_versions=1)
    assert compactor.run_once() == 4
    assert compactor.collect() == Collected(files=4)
    for version in (4, 5):
        assert scores(store, version) == expected[version]
    for version in (2, 3):
        with pytest.raises(VersionGone, match="oldest version that can be opened is 4"):
            open_model(store, version)
    report = check_store(store)
    assert (report.damages, report.gone, report.opens_from) == ([], 3, 4)
    assert [manifest.version for manifest in log(store)] == [5, 4, 3, 2, 1, 0]
    assert verify_chain(store) == 5
    assert compactor.collect() == Collected()


def check_packed_versions_answer_as_before(harness: Harness) -> None:
    store = trained(harness)
    before = [store.manifest(version) for version in range(7)]
    report = check_store(store)
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(versions, "VERSIONS_PER_FOLDER", 2)
        patch.setattr(posix, "VERSIONS_UNPACKED_MIN", 0)
        small = trained(harness)
        assert Compactor(small).collect().packed in (0, 2)
        assert [small.manifest(version) for version in range(7)] == before
        assert not any(small.append(version, b"another") for version in range(6))
        assert [small.head(hint) for hint in range(8)] == [5] * 8
        assert structs.replace(check_store(small), store=report.store) == report
        job = Job(small, run=8)
        job.epoch({0: clicks(20, 9)})
        assert job.commit() == 7
        assert Compactor(small).collect().packed in (0, 1)
        assert check_store(small).damages == []


def check_dropped_history_is_answered_for_by_its_record(harness: Harness) -> None:
    with pytest.MonkeyPatch.context() as patch:
        for module in (versions, limits):
            patch.setattr(module, "VERSIONS_PER_FOLDER", 2)
        patch.setattr(posix, "VERSIONS_UNPACKED_MIN", 0)
        store = trained(harness)
        assert (store.history_begins(), store.history_record()) == (0, None)
        before = [store.manifest(version) for version in range(6)]
        compactor = Compactor(store, every=4, keep_versions=1, kept_history=KeptHistory(2))
        assert compactor.run_once() == 4
        assert compactor.collect().dropped == 3
        assert store.history_begins() == 3
        assert [store.manifest(version) for version in range(3, 6)] == before[3:]
        for version in range(3):
            with pytest.raises(HistoryGone, match=r"history begins at version 3\."):
                store.manifest(version)
            assert not store.append(version, b"another")
        record = store.history_record()
        assert record is not None
        assert bytes(parse_record(record, 3).manifest) == before[3]
        assert dropped_totals(store)["events"].versions == 2
        assert [manifest.version for manifest in log(store)] == [5, 4, 3]
        assert verify_chain(store) == 5
        report = check_store(store)
        assert (report.damages, report.history_from, report.garbage) == ([], 3, [])
        store.drop_history(3, record)
        assert store.history_record() == record
        job = Job(store, run=8)
        job.epoch({0: clicks(20, 9)})
        assert job.commit() == 7
        assert check_store(store).damages == []


def check_a_trial_leaves_nothing(harness: Harness) -> None:
    store = trained(harness)
    files = [store.staged(kind) for kind in KINDS]
    store.check_writable(1 << 20)
    assert store.leftovers() == []
    assert [store.staged(kind) for kind in KINDS] == files


def trained(harness: Harness) -> Store:
    """Return a store with four epochs, versions 2 to 5; one of them has rejected events."""
    store = harness.make()
    store.stage("spec", SMALL.to_json())
    store.append(0, genesis(SMALL.sha256))
    job = Job(store)
    for seed in range(4):
        job.epoch({0: [*clicks(20, seed), *([b"not an event"] if seed == 2 else [])]})
        job.commit()
    return store


def named(store: Store) -> set[StagedFile]:
    return set.union(*(files_of(manifest) for manifest in log(store)))


def scores(store: Store, version: int) -> bytes:
    return open_model(store, version).predict(clicks(10, 99)).scores.tobytes()


CHECKS = [check for name, check in sorted(globals().items()) if name.startswith("check_")]
CHECKS.remove(check_store)
