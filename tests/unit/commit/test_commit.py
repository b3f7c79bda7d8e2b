import json
from pathlib import Path
from typing import Any

import pytest

from strandline.commit.committable import Committable
from strandline.commit.committing import Create, Mine, commit, compare, decide
from strandline.commit.opening import Opening, append_open
from strandline.encoding.canonical import canonical_json, sha256_hex
from strandline.errors import CommitRefused, Gap, Rival, StoreDamaged, Superseded
from strandline.manifest import FileRef, parse_manifest
from strandline.store import MemoryStore, read_manifest, verify_chain
from strandline.store.base import FileKind
from tests.golden.commit_cases import commit_cases
from tests.golden.commit_lines import (
    B0,
    B1,
    B2,
    C1,
    C1_OTHER,
    C2,
    OTHER_RUN,
    RUN,
    SOURCE,
    Line,
    committable,
    line,
    opening,
    resealed,
    train_body,
)

GOLDEN = Path(__file__).parents[2] / "golden" / "line.jsonl"
CASES = list(commit_cases())


def test_the_bytes_of_a_line_have_not_changed() -> None:
    """Of a genesis, an open, commits and a restore: digests in stores are taken over these."""
    made = line().commit(C1).commit(C2).open(RUN, B2, restored=17, submission=OTHER_RUN).manifests
    assert b"\n".join(made) + b"\n" == GOLDEN.read_bytes()


def test_cases_reach_every_outcome() -> None:
    outcomes = {outcome for *_, outcome in CASES}
    assert outcomes == {"create", "mine", "superseded", "rival", "gap"}


@pytest.mark.parametrize("case", CASES, ids=[case[0] for case in CASES])
def test_decides(case: tuple[str, Line, bytes, str]) -> None:
    _, made, data, outcome = case
    decision = decide(made.head, made.manifests.__getitem__, Committable.parse(data))
    match decision:
        case Create(version, manifest):
            assert outcome == "create"
            assert version == made.head + 1
            written = parse_manifest(manifest)
            assert written.parent == sha256_hex(made.manifests[-1])
            assert written.committable == sha256_hex(data)
        case Mine(version):
            assert outcome == "mine"
            assert parse_manifest(made.manifests[version]).committable == sha256_hex(data)
        case CommitRefused():
            assert decision.code == outcome


def store_of(manifests: list[bytes]) -> MemoryStore:
    store = MemoryStore()
    store.stage("spec", b"a spec")
    store.stage("delta", b"a delta")
    store.stage("rejects", b"the rejects")
    for version, manifest in enumerate(manifests):
        store.append(version, manifest)
    return store


def test_the_body_goes_in_byte_by_byte() -> None:
    store = store_of(line().manifests)
    manifest = store.manifest(commit(store, C1).version)
    assert manifest is not None
    body = canonical_json(train_body())
    assert body in C1
    assert manifest.startswith(b'{"body":' + body + b',"committable":"')


def test_a_committable_in_any_order_any_number_of_times_changes_nothing() -> None:
    store = store_of(line().manifests)
    for data in (C1, C1, C2, C1, C2, C2, C1):
        commit(store, data)
    assert store.head() == 3
    assert verify_chain(store) == 3


@pytest.mark.parametrize(
    ("manifests", "data", "error", "words"),
    [
        (line().commit(C1).open(OTHER_RUN, B1).manifests, C2, Superseded, [RUN, OTHER_RUN]),
        (line().commit(C1_OTHER).manifests, C1, Rival, [str(B0), str(B1), "without a savepoint"]),
        (line().manifests, C2, Gap, [str(B0), str(B1), str(B2), "without a savepoint"]),
    ],
)
def test_refusals_name_both_positions_and_the_remedy(
    manifests: list[bytes], data: bytes, error: type[CommitRefused], words: list[str]
) -> None:
    store = store_of(manifests)
    with pytest.raises(error) as caught:
        commit(store, data)
    assert [word for word in words if word not in str(caught.value)] == []
    assert "version" in str(caught.value)
    assert store.head() == len(manifests) - 1


class Overtaken(MemoryStore):
    """Another writer takes every number up to `until`, just before this one creates it."""

    def __init__(self, others: dict[int, bytes]) -> None:
        super().__init__()
        self._others = others

    def append(self, version: int, manifest: bytes) -> bool:
        other = self._others.pop(version, None)
        if other is not None:
            assert super().append(version, other)
        return super().append(version, manifest)


def overtaken(manifests: list[bytes], others: list[bytes]) -> Overtaken:
    store = Overtaken({len(manifests) + n: other for n, other in enumerate(others)})
    store._files = store_of([])._files
    store._versions = dict(enumerate(manifests))
    return store


def test_overtaken_by_another_stream_it_rebases() -> None:
    base = line()
    begun = list(base.manifests)
    base.open(OTHER_RUN, {"0": 5}, stream="views", source={})
    base.commit(committable({"0": 5}, {"0": 8}, run=OTHER_RUN, stream="views"))
    store = overtaken(begun, base.manifests[2:])
    assert commit(store, C1).version == 4
    assert read_manifest(store, 4).streams["views"].positions == {"0": 8}
    assert verify_chain(store) == 4


def test_overtaken_by_its_own_zombie_it_is_mine() -> None:
    base = line()
    store = overtaken(list(base.manifests), base.commit(C1).manifests[2:])
    assert commit(store, C1).version == 2


def test_overtaken_by_a_rival_it_is_refused() -> None:
    base = line()
    store = overtaken(list(base.manifests), base.commit(C1_OTHER).manifests[2:])
    with pytest.raises(Rival):
        commit(store, C1)


def test_overtaken_by_a_newer_open_it_is_superseded() -> None:
    base = line()
    store = overtaken(list(base.manifests), base.open(OTHER_RUN).manifests[2:])
    with pytest.raises(Superseded):
        commit(store, C1)


class Collected(MemoryStore):
    """Another run opens right before the first file is read, and its garbage is collected."""

    def __init__(self, manifests: list[bytes], opened: bytes) -> None:
        super().__init__()
        self._versions = dict(enumerate(manifests))
        self.opened = opened

    def read(self, kind: FileKind, ref: FileRef | str) -> bytes:
        self.append(len(self._versions), self.opened)
        return super().read(kind, ref)


def test_files_that_went_with_their_superseded_run_are_no_damage() -> None:
    """A supervisor must not start again what was superseded."""
    base = line()
    store = Collected(list(base.manifests), base.open(OTHER_RUN).manifests[2])
    with pytest.raises(Superseded):
        commit(store, C1)


@pytest.mark.parametrize("kind", ["delta", "rejects"])
def test_a_file_lost_between_prepare_and_commit_is_named(kind: FileKind) -> None:
    store = store_of(line().manifests)
    (sha256,) = store.staged(kind)
    store.discard(kind, sha256)
    with pytest.raises(StoreDamaged) as caught:
        commit(store, C1)
    words = [str(B0), str(B1), f"{kind} {sha256} is missing", "bytes of SHA-256", "Nothing was"]
    assert [word for word in words if word not in str(caught.value)] == []
    assert store.head() == 1
    data = {"delta": b"a delta", "rejects": b"the rejects"}[kind]
    store.stage(kind, data)
    assert commit(store, C1).version == 2, "the same call may be repeated"


def test_a_commit_builds_on_no_head_that_does_not_follow_from_its_parent() -> None:
    made = line().commit(C1).manifests
    fields = json.loads(made[2]) | {"parent": "0" * 64}
    store = store_of([*made[:2], resealed(canonical_json(fields))])
    with pytest.raises(StoreDamaged, match="version 2 does not follow from version 1"):
        commit(store, C2)
    assert store.head() == 2


def test_a_commit_that_nobody_would_build_on_is_refused() -> None:
    """A worker's seq that a version has already: its delta would be in two versions."""
    store = store_of(line().commit(C1).manifests)
    again = committable(B1, B2, seqs={"0": 12})
    with pytest.raises(
        CommitRefused, match=r"version 3 would not follow from version 2: .* seq 12"
    ):
        commit(store, again)
    assert store.head() == 2


def test_after_a_takeover_the_events_are_read_again_from_head() -> None:
    """A new partition is read, its commit never happens, the job starts from head."""
    store = store_of(line().commit(C1).manifests)
    lost = committable(B1, B1 | {"2": 9}, first={"2": 5})
    wanted = opening(OTHER_RUN, {"0": 0, "1": 0, "2": 5})
    version = append_open(
        store,
        Opening(
            "events",
            run=OTHER_RUN,
            key=wanted.key,
            positions=wanted.positions,
            source=SOURCE,
            time_ms=0,
        ),
    )
    assert read_manifest(store, version).streams["events"].positions == B1 | {"2": 5}
    with pytest.raises(Superseded):
        commit(store, lost)


def test_damage_below_head_stops_the_walk() -> None:
    manifests = line().commit(C1).commit(C2).manifests
    manifests[2] = manifests[2][:-1]
    with pytest.raises(StoreDamaged, match="not a manifest"):
        commit(store_of(manifests), C1)


def test_the_walk_ends_where_the_run_began() -> None:
    base = line().commit(C1).commit(C2).open(OTHER_RUN, B1)
    manifests = [*base.manifests[:2], b"never read", *base.manifests[3:]]
    with pytest.raises(Rival):
        commit(store_of(manifests), committable({"0": 1, "1": 1}, B1, run=OTHER_RUN))


def test_a_manifest_that_would_be_too_long_is_refused(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("strandline.commit.committing.MANIFEST_BYTES_MAX", len(C1))
    store = store_of(line().manifests)
    with pytest.raises(CommitRefused, match="shorter checkpoint interval"):
        commit(store, C1)
    assert store.head() == 1


BASE: dict[str, Any] = json.loads(C1)


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"format": 2}, "format 2 is newer"),
        ({"mood": 1}, "unknown field `mood`"),
        ({"run": "x"}, "matching regex"),
        ({"stream": "../x"}, "matching regex"),
        ({"before": {"0": 100}}, "differ in keys"),
        ({"first": {"0": 100}}, "names partitions of before"),
        ({"first": {"2": 0}}, "differ in keys"),
        ({"after": {"0": 99, "1": 17}}, "is behind before"),
        ({"after": B0}, "nothing was read"),
        ({"seqs": {"x": 1}}, "matching regex"),
        ({"body": {}}, "missing required field"),
        ({"body": []}, "Expected `object`"),
    ],
)
def test_a_committable_that_contradicts_itself_is_refused(
    change: dict[str, Any], message: str
) -> None:
    with pytest.raises(CommitRefused, match=message):
        Committable.parse(canonical_json(BASE | change))


def test_a_committable_in_another_spelling_is_refused() -> None:
    for data in (b"", b"[" * 100_000, C1 + b"\n", C1.replace(b"1e-07", b"1e-7")):
        with pytest.raises(CommitRefused, match="not a committable"):
            Committable.parse(data)


def test_identity_is_the_digest_of_the_bytes() -> None:
    assert Committable.parse(C1).identity == sha256_hex(C1)


@pytest.mark.parametrize(
    ("here", "there", "expected"),
    [
        ({}, {}, (False, False)),
        ({"0": 0}, {}, (True, False)),
        ({}, {"0": 0}, (False, True)),
        ({"0": 1, "1": 1}, {"0": 1, "2": 1}, (True, True)),
        ({"0": 2}, {"0": 1}, (True, False)),
    ],
)
def test_compare(here: dict[str, int], there: dict[str, int], expected: tuple[bool, bool]) -> None:
    assert compare(here, there) == expected
    assert compare(there, here) == expected[::-1]
