"""Full folders become one file each: no crash, power loss or race at any step frees a number."""

import errno
import multiprocessing
from collections.abc import Callable, Iterator
from contextlib import suppress
from pathlib import Path
from typing import Any

import pytest

from strandline.errors import StoreDamaged, StoreUnavailable
from strandline.store import PosixStore, folders, packing, posix, publish, versions
from strandline.store.segment import segment_parts
from tests.golden.commit_lines import long_line, resealed
from tests.unit.store.disk import Crash, Disk, Names

PER_FOLDER = 3
MADE = long_line(11)
"""Folders 0, 1 and 2 are full, 3 is not; with a margin of 1 the first three may be packed."""
STEPS = 45


@pytest.fixture(autouse=True)
def small_folders(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(versions, "VERSIONS_PER_FOLDER", PER_FOLDER)
    monkeypatch.setattr(posix, "VERSIONS_UNPACKED_MIN", 1)


@pytest.fixture
def disk(monkeypatch: pytest.MonkeyPatch) -> Iterator[Disk]:
    disk = Disk()
    with pytest.MonkeyPatch.context() as patch:
        for module in (publish, folders, versions, packing):
            patch.setattr(module, "os", disk)
        real = packing.exchange
        patch.setattr(packing, "exchange", lambda one, other: exchanged(disk, real, one, other))
        yield disk


def exchanged(disk: Disk, real: Callable[[Path, Path], None], one: Path, other: Path) -> None:
    disk.step("exchange", other)
    real(one, other)


def filled(folder: Path, count: int = len(MADE)) -> PosixStore:
    store = PosixStore(folder / "store")
    for version, manifest in enumerate(MADE[:count]):
        assert store.append(version, manifest)
    return store


def check_every_number_is_taken(root: Path) -> None:
    """As a process sees it that has never seen the store before, and as one that has."""
    for store in (PosixStore(root), PosixStore(root)):
        for hint in (0, 1, 5, 10, 11, 99):
            assert store.head(hint) == len(MADE) - 1
        for version, manifest in enumerate(MADE):
            assert store.manifest(version) == manifest
            assert not store.append(version, b"a zombie's")
            assert store.manifest(version) == manifest
        assert store.manifest(len(MADE)) is None


def names(root: Path) -> list[str]:
    return sorted(str(path.relative_to(root / "versions")) for path in root.rglob("versions/**/*"))


def test_packed_versions_answer_as_before(tmp_path: Path) -> None:
    store = filled(tmp_path)
    before = PosixStore(store.root)
    assert before.head() == 10
    assert store.pack() == 3
    assert names(store.root) == ["0000000", "0000001", "0000002", *names(store.root)[3:]]
    assert names(store.root)[3:] == [
        "0000003",
        "0000003/0000000009.json",
        "0000003/0000000010.json",
    ]
    check_every_number_is_taken(store.root)
    assert [before.manifest(version) for version in range(11)] == MADE
    assert not before.append(4, b"a zombie's")
    assert store.pack() == 0
    assert before.append(11, b"the next")
    assert store.head() == 11


def test_only_what_is_far_below_head_is_packed(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(posix, "VERSIONS_UNPACKED_MIN", 2)
    store = filled(tmp_path, 8)
    assert store.pack() == 1
    assert store.append(8, MADE[8])
    assert store.pack() == 1
    assert (store.root / "versions/0000002").is_dir()


def test_the_steps_in_order(disk: Disk, tmp_path: Path) -> None:
    store = filled(tmp_path, 5)
    (store.root / "versions/0000000/.tmp-slow").touch()
    disk.arm(None)
    assert store.pack() == 1
    steps = [step for step in disk.steps if step[0] != "write"]
    assert steps == [
        ("create", ".tmp"),
        ("fsync", ".tmp"),
        ("exchange", "0000000"),
        ("fsync", "versions"),
        ("unlink", ".tmp"),  # a folder by now: refused
        ("unlink", ".tmp"),  # the slow writer's, before any number
        *(("unlink", f"{version:010}.json") for version in range(3)),
        ("rmdir", ".tmp"),
    ]


@pytest.mark.parametrize("step", range(STEPS))
def test_packing_dies_before_a_step(disk: Disk, tmp_path: Path, step: int) -> None:
    store = filled(tmp_path)
    disk.arm(step)
    with suppress(Crash):
        store.pack()
    disk.arm(None)
    check_every_number_is_taken(store.root)
    recover_and_check(store.root)


@pytest.mark.parametrize("left", ["lost", "kept", "unlinked"])
@pytest.mark.parametrize("step", range(STEPS))
def test_power_is_lost_before_a_step_of_packing(
    disk: Disk, tmp_path: Path, step: int, left: Names
) -> None:
    store = filled(tmp_path)
    disk.arm(step)
    with suppress(Crash):
        store.pack()
    disk.arm(None)
    disk.after_power_loss(tmp_path, tmp_path.with_suffix(".left"), left)
    check_every_number_is_taken(tmp_path.with_suffix(".left") / "store")
    recover_and_check(tmp_path.with_suffix(".left") / "store")


def recover_and_check(root: Path) -> None:
    """The next compaction ends what was begun, and leaves nothing over."""
    store = PosixStore(root)
    store.leftovers(discard=True)
    store.pack()
    check_every_number_is_taken(root)
    left = [name for name in names(root) if ".tmp" in name]
    assert [name for name in left if not name.startswith("0000003/")] == []  # head's: may be alive
    assert sum((root / "versions" / f"{number:07}").is_file() for number in range(3)) == 3


@pytest.mark.parametrize("step", range(STEPS))
def test_a_disk_error_at_a_step_is_told_and_the_next_packing_ends_right(
    disk: Disk, tmp_path: Path, step: int
) -> None:
    store = filled(tmp_path)
    disk.arm(step, OSError(errno.EIO, "Input/output error"))
    with suppress(StoreUnavailable):
        store.pack()
    disk.arm(None)
    check_every_number_is_taken(store.root)
    recover_and_check(store.root)


@pytest.mark.parametrize("call", ["create", "write", "fsync", "link"])
@pytest.mark.parametrize("version", [0, 3, 5])
def test_a_zombie_that_sleeps_through_packing_does_not_get_its_number(
    tmp_path: Path, call: str, version: int
) -> None:
    """It saw the number free; while it slept, others took it, went on, and packed the folder."""

    class Sleeper(Disk):
        def step(self, name: str, path: Path) -> None:
            if name == call and not woken:
                woken.append(version)
                packer = PosixStore(tmp_path / "store")
                for at in range(packer.head() + 1 if version else 0, len(MADE)):
                    assert packer.append(at, MADE[at])
                assert packer.pack() == 3

    woken: list[int] = []
    zombie = filled(tmp_path, version)
    if version == 0:
        zombie.make_folders()
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(publish, "os", Sleeper())
        assert not zombie.append(version, b"a zombie's")
    assert woken
    check_every_number_is_taken(zombie.root)
    recover_and_check(zombie.root)


def test_where_names_cannot_be_exchanged_nothing_is_packed(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    def refuse(one: Path, other: Path) -> None:
        raise OSError(errno.EINVAL, "Invalid argument", str(one), None, str(other))

    monkeypatch.setattr(packing, "exchange", refuse)
    store = filled(tmp_path)
    before = names(store.root)
    assert store.pack() == 0
    assert "cannot exchange two names" in caplog.text
    assert names(store.root) == before
    check_every_number_is_taken(store.root)


def test_a_damaged_line_is_not_packed(tmp_path: Path) -> None:
    store = filled(tmp_path)
    path = store.root / "versions/0000001/0000000004.json"
    path.unlink()
    path.write_bytes(resealed(MADE[4].replace(b'"0":103', b'"0":104')))
    with pytest.raises(StoreDamaged, match="version 4 does not follow"):
        store.pack()
    assert (store.root / "versions/0000000").is_file()
    assert (store.root / "versions/0000001").is_dir()


def test_a_segment_that_does_not_hold_what_it_should_takes_no_folders_place(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """It is read back before the exchange: soon it is the only copy."""
    store = filled(tmp_path)

    def altered(*args: Any) -> Iterator[bytes]:
        header, *blocks = segment_parts(*args)
        yield header
        yield from (bytes([block[0]]) + bytes(len(block) - 1) for block in blocks)

    monkeypatch.setattr(versions, "segment_parts", altered)
    with pytest.raises(StoreDamaged):
        store.pack()
    assert (store.root / "versions/0000000").is_dir()
    assert [PosixStore(store.root).manifest(version) for version in range(11)] == MADE


def test_every_altered_byte_of_a_segment_is_damage(tmp_path: Path) -> None:
    store = filled(tmp_path)
    store.pack()
    path = store.root / "versions/0000001"
    good = path.read_bytes()
    for at in [*range(0, len(good), 97), len(good) - 1]:
        path.unlink()
        path.write_bytes(good[:at] + bytes([good[at] ^ 1]) + good[at + 1 :])
        with pytest.raises(StoreDamaged, match="0000001"):
            PosixStore(store.root).manifest(4)
    for cut in (b"", b"{", good[:-1], good + b"\n", b"\0" * 100):
        path.unlink()
        path.write_bytes(cut)
        with pytest.raises(StoreDamaged, match="0000001"):
            PosixStore(store.root).manifest(4)
    assert PosixStore(store.root).manifest(2) == MADE[2]


def test_a_copy_is_removed_only_if_a_sound_segment_holds_it(tmp_path: Path) -> None:
    store = filled(tmp_path)
    copy = store.root / "versions/.tmp-copy"
    copy.mkdir()
    (copy / "0000000004.json").write_bytes(MADE[4])
    assert store.leftovers(discard=True) == []
    store.pack()
    assert store.leftovers(discard=True) == ["versions/.tmp-copy"]
    assert not copy.exists()


def pack_and_read(root: str, process: int) -> list[int]:
    store, wrong = PosixStore(Path(root)), []
    vars(versions)["VERSIONS_PER_FOLDER"] = PER_FOLDER
    vars(posix)["VERSIONS_UNPACKED_MIN"] = 1
    for _ in range(400):
        if process < 2:
            store.pack()
            store.leftovers(discard=process == 0)
        wrong += [v for v, made in enumerate(MADE) if store.manifest(v) not in (made, None)]
        head = store.head()
        wrong += [v for v in range(head + 1) if store.manifest(v) is None]
        if head + 1 < len(MADE):
            store.append(head + 1, MADE[head + 1])
    return wrong


def test_packers_writers_and_readers_at_once(tmp_path: Path) -> None:
    root = filled(tmp_path, 1).root
    with multiprocessing.get_context("spawn").Pool(4) as pool:
        found = pool.starmap(pack_and_read, [(str(root), n) for n in range(4)], chunksize=1)
    assert found == [[]] * 4
    check_every_number_is_taken(root)
    recover_and_check(root)
