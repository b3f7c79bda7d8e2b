"""What holds for every store: named properties, each over a fresh, empty store.

A new implementation adds a `Harness` to test_stores.py. `damage` puts other bytes in the place of
a staged file, or removes it; `damage_version` the same for a manifest.
"""

import threading
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass

import pytest

from strandline.commit.committing import commit
from strandline.commit.opening import Opening, append_open
from strandline.encoding.canonical import sha256_hex
from strandline.errors import NoStore, StoreDamaged, TopicTaken
from strandline.manifest import FileRef, OpenBody, OpenKey
from strandline.store.base import FileKind, Store
from strandline.store.chain import log, read_manifest, verify_chain
from tests.golden.commit_lines import (
    B0,
    B1,
    B2,
    C1,
    C2,
    RUN,
    SOURCE,
    SPEC,
    committable,
    line,
    resealed,
)

KINDS: tuple[FileKind, ...] = ("delta", "rejects", "spec")
THREADS = 8


@dataclass(frozen=True)
class Harness:
    make: Callable[[], Store]
    damage: Callable[[Store, FileKind, str, bytes | None], None]
    damage_version: Callable[[Store, int, bytes | None], None]


def filled(harness: Harness, manifests: list[bytes]) -> Store:
    """Return a store with these versions and every file that they name."""
    store = harness.make()
    store.stage("delta", b"a delta")
    store.stage("rejects", b"the rejects")
    store.stage("spec", b"a spec")
    for version, manifest in enumerate(manifests):
        assert store.append(version, manifest)
    return store


def check_staged_bytes_come_back(harness: Harness) -> None:
    store = harness.make()
    for kind in KINDS:
        data = f"\0{kind}".encode() * 100_000  # longer than one write
        ref = store.stage(kind, data)
        assert ref == FileRef(sha256=sha256_hex(data), bytes=len(data))
        assert store.read(kind, ref) == data
        assert store.read(kind, ref.sha256) == data


def check_staging_twice_is_staging_once(harness: Harness) -> None:
    store = harness.make()
    assert store.stage("delta", b"same") == store.stage("delta", b"same")
    assert store.stage("delta", b"") == FileRef(sha256=sha256_hex(b""), bytes=0)


def check_kinds_do_not_mix(harness: Harness) -> None:
    store = harness.make()
    ref = store.stage("delta", b"a delta")
    store.stage("rejects", b"the rejects")
    with pytest.raises(StoreDamaged, match="missing"):
        store.read("rejects", ref)


def check_missing_file_is_damage(harness: Harness) -> None:
    store = harness.make()
    ref = store.stage("delta", b"a delta")
    harness.damage(store, "delta", ref.sha256, None)
    with pytest.raises(StoreDamaged, match=f"{ref.sha256}.*missing"):
        store.read("delta", ref)


def check_truncated_file_is_damage(harness: Harness) -> None:
    store = harness.make()
    ref = store.stage("delta", b"a delta")
    harness.damage(store, "delta", ref.sha256, b"a delt")
    with pytest.raises(StoreDamaged, match=r"6 bytes.*says 7"):
        store.read("delta", ref)
    with pytest.raises(StoreDamaged, match="altered"):
        store.read("delta", ref.sha256)


def check_every_altered_bit_is_damage(harness: Harness) -> None:
    store = harness.make()
    data = b"a delta"
    ref = store.stage("delta", data)
    for bit in range(8 * len(data)):
        altered = bytearray(data)
        altered[bit // 8] ^= 1 << bit % 8
        harness.damage(store, "delta", ref.sha256, bytes(altered))
        with pytest.raises(StoreDamaged, match="altered"):
            store.read("delta", ref)


def check_swapped_files_are_damage(harness: Harness) -> None:
    store = harness.make()
    one, two = store.stage("delta", b"one"), store.stage("delta", b"two")
    harness.damage(store, "delta", one.sha256, b"two")
    harness.damage(store, "delta", two.sha256, b"one")
    for ref in (one, two):
        with pytest.raises(StoreDamaged, match="altered"):
            store.read("delta", ref)


def check_wrong_length_in_a_reference_is_damage(harness: Harness) -> None:
    store = harness.make()
    ref = store.stage("delta", b"a delta")
    with pytest.raises(StoreDamaged, match=r"7 bytes.*says 8"):
        store.read("delta", FileRef(sha256=ref.sha256, bytes=8))


def check_staging_over_a_damaged_file_is_refused(harness: Harness) -> None:
    store = harness.make()
    ref = store.stage("delta", b"a delta")
    harness.damage(store, "delta", ref.sha256, b"another")
    with pytest.raises(StoreDamaged, match="altered"):
        store.stage("delta", b"a delta")


def check_no_path_gets_in_through_a_digest(harness: Harness) -> None:
    store = harness.make()
    good = store.stage("spec", b"{}").sha256
    for hostile in ("", "..", "../../etc/passwd", "/etc/passwd", good.upper(), good + "\n", "a\0"):
        with pytest.raises(StoreDamaged, match="not a SHA-256"):
            store.read("spec", hostile)


def check_no_store_without_version_0(harness: Harness) -> None:
    store = harness.make()
    for hint in (0, 5):
        with pytest.raises(NoStore):
            store.head(hint)
    store.stage("spec", b"{}")
    with pytest.raises(NoStore):
        store.head()
    assert store.manifest(0) is None


def check_a_number_is_won_once(harness: Harness) -> None:
    store = harness.make()
    assert store.append(0, b"first")
    assert not store.append(0, b"second")
    assert not store.append(0, b"first")
    assert store.manifest(0) == b"first"
    assert store.manifest(1) is None


def check_one_winner_per_number_among_threads(harness: Harness) -> None:
    store = harness.make()
    rounds = 40
    barrier = threading.Barrier(THREADS)

    def race(thread: int) -> list[int]:
        won = []
        for version in range(rounds):
            barrier.wait(timeout=30)
            if store.append(version, f"{thread}".encode()):
                won.append(version)
        return won

    with ThreadPoolExecutor(THREADS) as pool:
        wins = list(pool.map(race, range(THREADS)))
    assert sorted(version for won in wins for version in won) == list(range(rounds))
    for thread, won in enumerate(wins):
        assert all(store.manifest(version) == f"{thread}".encode() for version in won)


def check_one_copy_among_threads_that_stage_the_same(harness: Harness) -> None:
    store = harness.make()
    with ThreadPoolExecutor(THREADS) as pool:
        refs = set(pool.map(lambda _: store.stage("delta", b"same" * 1000), range(40)))
    assert [store.read("delta", ref) for ref in refs] == [b"same" * 1000]


def check_head_with_every_hint(harness: Harness) -> None:
    store = harness.make()
    for version in range(20):
        assert store.append(version, b"{}")
        assert store.head() == version
        assert [store.head(hint) for hint in range(version + 3)] == [version] * (version + 3)


def check_bases_come_back(harness: Harness) -> None:
    store = harness.make()
    assert store.bases() == []
    store.put_base(200, b"two hundred")
    store.put_base(100, b"one hundred")
    store.put_base(100, b"one hundred")
    assert store.bases() == [100, 200]
    base = store.base(100)
    assert bytes(base) == b"one hundred"
    assert base.readonly
    with pytest.raises(StoreDamaged, match="missing"):
        store.base(101)


def check_commit_makes_the_versions_of_the_vectors(harness: Harness) -> None:
    made = line().commit(C1).commit(C2).manifests
    store = filled(harness, made[:2])
    assert [commit(store, data).version for data in (C1, C2)] == [2, 3]
    assert [store.manifest(version) for version in range(4)] == made
    again = [commit(store, data) for data in (C2, C1, C1, C2)]
    assert again == [(3, True), (2, True), (2, True), (3, True)]
    assert store.head() == 3
    assert verify_chain(store, files=True) == 3


def check_commit_names_no_lost_file(harness: Harness) -> None:
    store = filled(harness, line().manifests)
    for kind, data in (("rejects", b"the rejects"), ("delta", b"a delta")):
        harness.damage(store, kind, sha256_hex(data), None)  # type: ignore[arg-type]
        with pytest.raises(StoreDamaged, match="missing"):
            commit(store, C1)
        assert store.head() == 1


def check_racing_streams_all_commit(harness: Harness) -> None:
    """Writers of eight streams lose numbers to each other and rebase; none loses an epoch."""
    store = filled(harness, line().manifests[:1])
    epochs = 5

    def write(index: int) -> None:
        name, run = f"stream-{index}", f"{index:032x}"
        key = OpenKey(restored=None, submission=run)
        append_open(
            store, Opening(name, run=run, key=key, positions={"0": 0}, source={}, time_ms=0)
        )
        for epoch in range(epochs):
            before, after = {"0": epoch}, {"0": epoch + 1}
            commit(store, committable(before, after, run=run, stream=name, seqs={"0": epoch + 1}))

    with ThreadPoolExecutor(THREADS) as pool:
        list(pool.map(write, range(THREADS)))
    assert verify_chain(store, files=True) == THREADS * (epochs + 1)
    positions = [e.positions for e in read_manifest(store, store.head()).streams.values()]
    assert positions == [{"0": epochs}] * THREADS


def check_racing_streams_of_one_topic_open_once(harness: Harness) -> None:
    """They decide at the same head, where nobody reads the topic yet: one append wins."""
    store = filled(harness, line().manifests[:1])
    together = threading.Barrier(THREADS)

    def start(index: int) -> bool:
        name, run = f"stream-{index}", f"{index:032x}"
        together.wait()
        key = OpenKey(restored=None, submission=run)
        try:
            append_open(
                store, Opening(name, run=run, key=key, positions={}, source=SOURCE, time_ms=0)
            )
        except TopicTaken:
            return False
        return True

    with ThreadPoolExecutor(THREADS) as pool:
        assert sum(pool.map(start, range(THREADS))) == 1
    assert verify_chain(store) == 1


def check_racing_opens_both_land_and_the_later_is_in_force(harness: Harness) -> None:
    store = filled(harness, line().commit(C1).manifests)
    keys = [OpenKey(restored=None, submission=f"{index:032x}") for index in range(THREADS)]

    def take_over(key: OpenKey) -> int:
        return append_open(
            store,
            Opening(
                "events",
                run=key.submission,
                key=key,
                positions={"0": 0, "1": 0},
                source=SOURCE,
                time_ms=0,
                takeover=True,
            ),
        )

    with ThreadPoolExecutor(THREADS) as pool:
        versions = list(pool.map(take_over, keys))
    assert sorted(versions) == list(range(3, 3 + THREADS))
    for key, version in zip(keys, versions, strict=True):
        opened = read_manifest(store, version)
        assert isinstance(opened.body, OpenBody)
        assert opened.body.key == key
        assert opened.streams["events"].positions == B1
    last = keys[versions.index(max(versions))]
    assert read_manifest(store, store.head()).streams["events"].run == last.submission
    assert verify_chain(store) == 2 + THREADS


def check_log_both_ways(harness: Harness) -> None:
    store = filled(harness, line().commit(C1).commit(C2).manifests)
    down = [manifest.version for manifest in log(store)]
    assert down == [3, 2, 1, 0]
    assert [manifest.version for manifest in log(store, newest_first=False)] == down[::-1]
    assert read_manifest(store, 3).streams["events"].positions == B2
    assert read_manifest(store, 1).streams["events"].positions == B0
    assert read_manifest(store, 0).spec == SPEC
    assert read_manifest(store, 2).streams["events"].run == RUN


def check_damaged_chain_is_found(harness: Harness) -> None:
    made = line().commit(C1).commit(C2).manifests
    damages: dict[str, dict[int, bytes | None]] = {
        "missing": {1: None},
        "not a manifest": {1: made[1][:-1]},
        "holds the manifest of version 2": {1: made[2], 2: made[1]},
        "altered": {1: made[1].replace(b'"0":100', b'"0":101')},
        "names the parent": {1: resealed(made[1].replace(b'"0":100', b'"0":101'))},
    }
    for message, damage in damages.items():
        store = filled(harness, made)
        for version, data in damage.items():
            harness.damage_version(store, version, data)
        with pytest.raises(StoreDamaged, match=message):
            verify_chain(store)
        with pytest.raises(StoreDamaged, match=message.replace("version 2", "version .")):
            list(log(store))


def check_reading_a_damaged_head_is_refused(harness: Harness) -> None:
    made = line().commit(C1).manifests
    for data in (b"", b"{}", b"\xff" * 10, made[2][:-1], made[1], made[2] + b"\n"):
        store = filled(harness, made)
        harness.damage_version(store, 2, data)
        with pytest.raises(StoreDamaged):
            read_manifest(store, 2)


CHECKS = [check for name, check in sorted(globals().items()) if name.startswith("check_")]
