"""A crash or a power loss before every single step of a commit, and of creating a store.

Whatever is left, a version is whole or absent, what was acknowledged is there, and the attempt
repeated ends with the same bytes at the same number.
"""

import errno
from contextlib import suppress
from pathlib import Path

import pytest

from strandline.commit.committing import commit
from strandline.encoding.canonical import sha256_hex
from strandline.errors import NoStore, StoreUnavailable
from strandline.spec import Spec
from strandline.store import (
    PosixStore,
    create_store,
    folders,
    open_store,
    posix,
    publish,
    verify_chain,
    versions,
)
from strandline.upkeep.garbage import durable_head
from tests.golden.commit_lines import C1, line
from tests.unit.store.disk import Crash, Disk, Names

SPEC = Spec.parse("""
name = "clicks"
[label]
path = "click"
[features.item]
path = "item.id"
kind = "category"
[learners.popularity]
type = "counts"
feature = "item"
""")
MADE = line().commit(C1).manifests
STEPS = 31
"""More than a commit with its staged files, and than creating a store, takes; asserted below."""


@pytest.fixture
def disk(monkeypatch: pytest.MonkeyPatch) -> Disk:
    disk = Disk()
    monkeypatch.setattr(publish, "os", disk)
    monkeypatch.setattr(folders, "os", disk)
    monkeypatch.setattr(posix, "os", disk)
    monkeypatch.setattr(versions, "os", disk)
    return disk


def opened(folder: Path) -> PosixStore:
    """Return a store with genesis and an open, all of it durable."""
    store = PosixStore(folder / "store")
    store.make_folders()
    store.stage("spec", b"a spec")
    for version, manifest in enumerate(MADE[:2]):
        assert store.append(version, manifest)
    return store


def epoch(root: Path) -> int:
    """Do what one epoch does, in a process of its own: stage the files, then commit."""
    store = PosixStore(root)
    store.stage("delta", b"a delta")
    store.stage("rejects", b"the rejects")
    return commit(store, C1).version


def check_whole_or_absent(root: Path) -> None:
    """A visible version is whole, with its files; and the epoch repeated makes it so."""
    store = PosixStore(root)
    assert store.manifest(2) in (None, MADE[2])
    assert verify_chain(store, files=True) == (1 if store.manifest(2) is None else 2)
    assert epoch(root) == 2
    assert verify_chain(store, files=True) == 2
    assert store.manifest(2) == MADE[2]


def test_a_commit_takes_its_steps_in_order(disk: Disk, tmp_path: Path) -> None:
    store = opened(tmp_path)
    disk.arm(None)
    assert epoch(store.root) == 2

    def published(name: str, folder: str) -> list[tuple[str, str]]:
        written = [(call, ".tmp") for call in ("create", "write", "write", "fsync")]
        return [*written, ("link", name), ("fsync", folder), ("unlink", ".tmp")]

    assert disk.steps == [
        ("mkdir", "deltas"),
        ("fsync", "store"),
        *published(f"{sha256_hex(b'a delta')}.safetensors", "deltas"),
        ("mkdir", "rejects"),
        ("fsync", "store"),
        *published(f"{sha256_hex(b'the rejects')}.jsonl", "rejects"),
        ("mkdir", "0000000"),
        ("fsync", "versions"),
        *published("0000000002.json", "0000000"),
    ]
    assert len(disk.steps) < STEPS


@pytest.mark.parametrize("step", range(STEPS))
def test_commit_dies_before_a_step(disk: Disk, tmp_path: Path, step: int) -> None:
    root = opened(tmp_path).root
    disk.arm(step)
    try:
        assert epoch(root) == 2
    except Crash:
        disk.arm(None)
        check_whole_or_absent(root)
    else:
        assert step >= len(disk.steps)


@pytest.mark.parametrize("names", ["lost", "kept"])
@pytest.mark.parametrize("step", range(STEPS))
def test_power_is_lost_before_a_step_of_a_commit(
    disk: Disk, tmp_path: Path, step: int, names: Names
) -> None:
    root = opened(tmp_path).root
    disk.arm(step)
    try:
        epoch(root)
        acknowledged = True
    except Crash:
        acknowledged = False
    disk.arm(None)
    disk.after_power_loss(tmp_path, tmp_path.with_suffix(".left"), names)
    left = tmp_path.with_suffix(".left") / "store"
    if acknowledged:
        assert PosixStore(left).manifest(2) == MADE[2]
    check_whole_or_absent(left)


@pytest.mark.parametrize("names", ["lost", "kept"])
@pytest.mark.parametrize("step", range(STEPS))
def test_power_is_lost_after_the_retry_of_a_commit_that_died(
    disk: Disk, tmp_path: Path, step: int, names: Names
) -> None:
    """The retry finds the dead attempt's version: mine, and only now certainly durable."""
    root = opened(tmp_path).root
    disk.arm(step)
    try:
        epoch(root)
    except Crash:
        disk.arm(None)
        assert epoch(root) == 2
    disk.after_power_loss(tmp_path, tmp_path.with_suffix(".left"), names)
    left = PosixStore(tmp_path.with_suffix(".left") / "store")
    assert left.manifest(2) == MADE[2]
    assert verify_chain(left, files=True) == 2


@pytest.mark.parametrize("names", ["lost", "kept"])
@pytest.mark.parametrize("versions_per_folder", [3, 10_000])
@pytest.mark.parametrize("step", range(20, STEPS))
def test_power_is_lost_after_another_writer_built_on_a_version_that_died(
    disk: Disk, tmp_path: Path, *, step: int, versions_per_folder: int, names: Names
) -> None:
    """A durable version has a durable parent, also where a new folder of versions begins."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(versions, "VERSIONS_PER_FOLDER", versions_per_folder)
        check_parent_is_durable(disk, tmp_path, step, names)


def check_parent_is_durable(disk: Disk, tmp_path: Path, step: int, names: Names) -> None:
    root = opened(tmp_path).root
    disk.arm(step)
    with suppress(Crash):
        epoch(root)
    disk.arm(None)
    store = PosixStore(root)
    parent = store.head()
    next_ = parent + 1
    assert store.append(next_, b"the next version")
    disk.after_power_loss(tmp_path, tmp_path.with_suffix(".left"), names)
    left = PosixStore(tmp_path.with_suffix(".left") / "store")
    assert left.manifest(next_) == b"the next version"
    assert left.manifest(parent) == MADE[parent]


@pytest.mark.parametrize("step", range(20, STEPS))
def test_power_is_lost_after_a_collector_took_a_dead_commit_for_head(
    disk: Disk, tmp_path: Path, step: int
) -> None:
    """What is removed because of a head must not outlast it."""
    root = opened(tmp_path).root
    disk.arm(step)
    with suppress(Crash):
        epoch(root)
    disk.arm(None)
    head = durable_head(PosixStore(root)).version
    disk.after_power_loss(tmp_path, tmp_path.with_suffix(".left"), "lost")
    left = PosixStore(tmp_path.with_suffix(".left") / "store")
    assert left.manifest(head) == MADE[head]


@pytest.mark.parametrize("step", range(STEPS))
def test_disk_error_at_a_step_is_told_and_the_retry_ends_right(
    disk: Disk, tmp_path: Path, step: int
) -> None:
    root = opened(tmp_path).root
    disk.arm(step, OSError(errno.EIO, "Input/output error"))
    failure: StoreUnavailable | None = None
    try:
        assert epoch(root) == 2
    except StoreUnavailable as error:
        failure = error
    harmless = step >= len(disk.steps) or disk.steps[step][0] == "unlink"
    assert harmless == (failure is None)
    assert harmless or "Input/output error; the disk reported an error" in str(failure)
    disk.arm(None)
    check_whole_or_absent(root)


@pytest.mark.parametrize("names", ["lost", "kept"])
@pytest.mark.parametrize("step", range(2 * STEPS))
def test_power_is_lost_before_a_step_of_creating_a_store(
    disk: Disk, tmp_path: Path, step: int, names: Names
) -> None:
    url = str(tmp_path / "below" / "store")
    disk.arm(step)
    try:
        create_store(url, SPEC)
        acknowledged = True
    except Crash:
        acknowledged = False
    disk.arm(None)
    disk.after_power_loss(tmp_path, tmp_path.with_suffix(".left"), names)
    left = str(tmp_path.with_suffix(".left") / "below" / "store")
    try:
        assert open_store(left).read("spec", SPEC.sha256) == SPEC.to_json()
    except NoStore:
        assert not acknowledged
    assert verify_chain(create_store(left, SPEC)) == 0
    assert acknowledged or step < 2 * STEPS - 1, "the last step is after the end"
