import errno
import fcntl
import multiprocessing
import os
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from strandline.encoding.canonical import sha256_hex
from strandline.errors import EnvironmentUnfit, NoStore, StoreDamaged, StoreUnavailable
from strandline.limits import MANIFEST_BYTES_MAX, SPEC_BYTES_MAX
from strandline.store import PosixStore, folders, posix, publish, versions
from tests.unit.store.disk import Crash, Disk

PROCESSES = 4
ROUNDS = 100


def test_layout_is_the_documented_one(tmp_path: Path) -> None:
    store = PosixStore(tmp_path)
    for version in range(2):
        store.append(version, b"{}")
    shas = [store.stage(kind, b"x").sha256 for kind in ("delta", "rejects", "spec")]
    store.put_base(1, b"x")
    files = sorted(str(p.relative_to(tmp_path)) for p in tmp_path.rglob("*") if p.is_file())
    assert files == [
        "bases/0000000001.safetensors",
        f"deltas/{shas[0]}.safetensors",
        f"rejects/{shas[1]}.jsonl",
        f"spec/{shas[2]}.json",
        "versions/0000000/0000000000.json",
        "versions/0000000/0000000001.json",
    ]


def race(url: str, process: int) -> list[int]:
    store = PosixStore(Path(url))
    return [v for v in range(ROUNDS) if store.append(v, f"{process}".encode())]


def test_one_winner_per_number_among_processes(tmp_path: Path) -> None:
    with multiprocessing.get_context("spawn").Pool(PROCESSES) as pool:
        wins = pool.starmap(race, [(str(tmp_path), n) for n in range(PROCESSES)], chunksize=1)
    assert sorted(version for won in wins for version in won) == list(range(ROUNDS))
    store = PosixStore(tmp_path)
    for process, won in enumerate(wins):
        assert all(store.manifest(version) == f"{process}".encode() for version in won)
    assert list(tmp_path.rglob(".tmp-*")) == []


def test_a_view_of_numbers_is_written_whole(tmp_path: Path) -> None:
    numbers = np.arange(1 << 19, dtype=np.uint32)
    assert publish.publish(tmp_path / "numbers", numbers.data)
    assert (tmp_path / "numbers").read_bytes() == numbers.tobytes()


def test_head_over_many_folders(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(versions, "VERSIONS_PER_FOLDER", 3)
    store = PosixStore(tmp_path)
    for version in range(14):
        assert store.append(version, b"{}")
        assert [store.head(hint) for hint in range(17)] == [version] * 17
    assert len(os.listdir(tmp_path / "versions")) == 5


def test_head_when_the_newest_folder_is_empty_or_foreign(tmp_path: Path) -> None:
    store = PosixStore(tmp_path)
    store.append(0, b"{}")
    store.append(1, b"{}")
    (tmp_path / "versions/0000001").mkdir()
    (tmp_path / "versions/0000002").mkdir()
    (tmp_path / "versions/0000002/.tmp-dead").touch()
    (tmp_path / "versions/lost+found").mkdir()
    (tmp_path / "versions/0000000/9999999999.json~").touch()
    (tmp_path / "versions/0000000/.tmp-9999999999.json").touch()
    assert store.head() == 1


def test_head_probes_above_a_listing_that_lags(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    store = PosixStore(tmp_path)
    for version in range(6):
        store.append(version, b"{}")
    disk = Disk()
    monkeypatch.setattr(folders, "os", disk)
    monkeypatch.setattr(versions, "os", disk)
    monkeypatch.setattr(
        disk, "listdir", lambda p: [n for n in os.listdir(p) if n[9:] != "5.json"], raising=False
    )
    assert store.head() == 5


def test_temporary_files_of_dead_writers_are_ignored(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    store = PosixStore(tmp_path)
    store.append(0, b"{}")
    disk = Disk()
    with monkeypatch.context() as patch:
        patch.setattr(publish, "os", disk)
        disk.arm(3)
        for attempt in (lambda: store.append(1, b"{}"), lambda: store.put_base(0, b"x")):
            with pytest.raises(Crash):
                attempt()
    assert len(list(tmp_path.rglob(".tmp-*"))) == 1
    assert store.head() == 0
    assert store.bases() == []
    assert store.append(1, b"{}")


def test_only_dead_writers_leave_something_over(tmp_path: Path) -> None:
    store = PosixStore(tmp_path)
    store.make_folders()
    for version in range(2):
        store.append(version, b"{}")
    alive, descriptor = publish.open_temporary(tmp_path / "deltas")
    (tmp_path / "deltas/.tmp-dead").write_bytes(b"half a fi")
    (tmp_path / "bases/.tmp-dead").touch()
    (tmp_path / "versions/0000000/.tmp-unknown").touch()  # head's folder: its writer may win yet
    expected = ["bases/.tmp-dead", "deltas/.tmp-dead"]
    assert store.leftovers() == store.leftovers(discard=True) == expected
    assert store.leftovers() == []
    assert alive.exists()
    os.close(descriptor)
    assert store.leftovers(discard=True) == [f"deltas/{alive.name}"]
    assert (tmp_path / "versions/0000000/.tmp-unknown").exists()


def test_a_temporary_file_in_a_full_folder_is_left_over(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(versions, "VERSIONS_PER_FOLDER", 3)
    store = PosixStore(tmp_path)
    for version in range(4):
        store.append(version, b"{}")
    for folder in ("0000000", "0000001"):
        (tmp_path / "versions" / folder / ".tmp-slow").touch()
    assert store.leftovers(discard=True) == ["versions/0000000/.tmp-slow"]
    assert not (tmp_path / "versions/0000000/.tmp-slow").exists()


def test_a_writer_that_is_taken_for_dead_too_early_begins_again(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Between the creation of its file and the lock, somebody else may get the lock."""
    store = PosixStore(tmp_path)
    store.make_folders()
    lock = fcntl.flock
    taken: list[str] = []

    def late(descriptor: int, operation: int) -> None:
        if not operation & fcntl.LOCK_NB and not taken:
            taken.extend(store.leftovers(discard=True))
        lock(descriptor, operation)

    monkeypatch.setattr(fcntl, "flock", late)
    ref = store.stage("delta", b"a delta")
    assert len(taken) == 1
    assert store.read("delta", ref) == b"a delta"
    assert list(tmp_path.rglob(".tmp-*")) == []


def test_a_lost_answer_to_the_link_is_a_win(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """NFS repeats a request whose answer was lost, and then says that the name is taken."""

    class Nfs(Disk):
        def link(self, source: Path, target: Path) -> None:
            super().link(source, target)
            raise FileExistsError(errno.EEXIST, "File exists")

    monkeypatch.setattr(publish, "os", Nfs())
    assert PosixStore(tmp_path).append(0, b"{}")
    assert not PosixStore(tmp_path).append(0, b"{}")


@pytest.mark.parametrize(
    ("call", "number", "remedy"),
    [
        ("write", errno.ENOSPC, "free some space"),
        ("write", errno.EDQUOT, "quota"),
        ("open", errno.EACCES, "permission denied"),
        ("open", errno.EROFS, "read-write"),
        ("link", errno.EPERM, "hard links"),
        ("fsync", errno.EIO, "check it"),
        ("mkdir", errno.ENOTDIR, "a file is in the way"),
    ],
)
def test_refusals_of_the_system_name_the_remedy(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, *, call: str, number: int, remedy: str
) -> None:
    def refuse(*args: Any, **kwargs: Any) -> None:
        raise OSError(number, os.strerror(number))

    store = PosixStore(tmp_path)
    disk = Disk()
    monkeypatch.setattr(disk, call, refuse)
    with monkeypatch.context() as patch:
        patch.setattr(publish, "os", disk)
        patch.setattr(folders, "os", disk)
        for attempt in (
            lambda: store.append(0, b"{}"),
            lambda: store.stage("delta", b"{}"),
            lambda: store.put_base(0, b"{}"),
        ):
            with pytest.raises(StoreUnavailable, match=remedy) as caught:
                attempt()
            assert os.strerror(number) in str(caught.value)
            assert str(tmp_path) in str(caught.value)
    assert store.append(0, b"{}")


def test_a_file_system_that_gives_a_name_twice_is_refused(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    class Careless(Disk):
        def link(self, source: Path, target: Path) -> None:
            target.unlink(missing_ok=True)
            super().link(source, target)

    store = PosixStore(tmp_path)
    store.make_folders()
    store.check_writable(10)
    with monkeypatch.context() as patch:
        patch.setattr(publish, "os", Careless())
        with pytest.raises(EnvironmentUnfit, match="gave the same name twice, expected"):
            store.check_writable(10)
    assert store.leftovers() == []
    assert list(tmp_path.rglob(".tmp-*")) == []


def test_a_full_file_system_leaves_the_store_as_it_was(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    class Full(Disk):
        def write(self, descriptor: int, data: memoryview) -> int:
            if len(data) == 1:
                raise OSError(errno.ENOSPC, "No space left on device")
            return super().write(descriptor, data)

    store = PosixStore(tmp_path)
    store.append(0, b"{}")
    with monkeypatch.context() as patch:
        patch.setattr(publish, "os", Full())
        with pytest.raises(StoreUnavailable, match="full"):
            store.append(1, b"the manifest")
    assert store.head() == 0
    assert list(tmp_path.rglob(".tmp-*")) == []


def test_an_fsync_that_failed_is_never_repeated_on_its_file(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A second fsync may report success for pages that the first one has lost."""
    synced: list[int] = []

    class Sick(Disk):
        def fsync(self, descriptor: int) -> None:
            inode = os.fstat(descriptor).st_ino
            if str(os.readlink(f"/proc/self/fd/{descriptor}")).rpartition("/")[2].startswith("."):
                synced.append(inode)
                kept.append(os.dup(descriptor))  # so that no other file gets the same inode
                if len(synced) < 3:
                    raise OSError(errno.EIO, "Input/output error")

    kept: list[int] = []
    monkeypatch.setattr(publish, "os", Sick())
    store = PosixStore(tmp_path)
    for _ in range(2):
        with pytest.raises(StoreUnavailable):
            store.append(0, b"{}")
        assert store.manifest(0) is None
    assert store.append(0, b"{}")
    assert len(set(synced)) == 3
    for descriptor in kept:
        os.close(descriptor)


def test_oversized_files_are_refused_before_they_are_read(tmp_path: Path) -> None:
    store = PosixStore(tmp_path)
    store.append(0, b"{}")
    with (tmp_path / "versions/0000000/0000000001.json").open("wb") as file:
        file.truncate(MANIFEST_BYTES_MAX + 1)
    with pytest.raises(StoreDamaged, match="16777217 bytes, at most 16777216"):
        store.manifest(1)
    sha256 = store.stage("spec", b"{}").sha256
    with (tmp_path / f"spec/{sha256}.json").open("wb") as file:
        file.truncate(1 << 40)  # a hole: takes no space
    with pytest.raises(StoreDamaged, match=f"at most {SPEC_BYTES_MAX} are read"):
        store.read("spec", sha256)


def test_a_mapped_base_outlives_its_name(tmp_path: Path) -> None:
    store = PosixStore(tmp_path)
    store.put_base(3, b"parameters")
    base = store.base(3)
    (tmp_path / "bases/0000000003.safetensors").unlink()
    assert bytes(base) == b"parameters"


def test_an_empty_base_is_damage(tmp_path: Path) -> None:
    store = PosixStore(tmp_path)
    store.put_base(3, b"")
    with pytest.raises(StoreDamaged, match="empty"):
        store.base(3)


def test_a_file_staged_by_a_dead_attempt_is_made_durable(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    PosixStore(tmp_path).stage("delta", b"same")
    disk = Disk()
    for module in (folders, posix, publish, versions):
        monkeypatch.setattr(module, "os", disk)
    PosixStore(tmp_path).stage("delta", b"same")
    name = f"{sha256_hex(b'same')}.safetensors"
    assert disk.steps[-2:] == [("fsync", "deltas"), ("fsync", name)]


def test_a_folder_that_is_gone_is_no_store(tmp_path: Path) -> None:
    with pytest.raises(NoStore, match="holds no store"):
        PosixStore(tmp_path / "gone").head()
    assert PosixStore(tmp_path / "gone").bases() == []


def test_no_rename_in_the_store() -> None:
    """A rename overwrites: whoever came first would lose the number."""
    folder = Path(posix.__file__).parent
    sources = "".join(path.read_text() for path in folder.glob("*.py"))
    for call in ("os.rename", "os.replace", ".rename(", ".replace(", "shutil"):
        assert call not in sources


def test_a_file_whose_folder_is_away_may_come_back(tmp_path: Path) -> None:
    """An absent folder may be a mount: no reason to call its files lost for good."""
    store = PosixStore(tmp_path / "store")
    ref = store.stage("delta", b"a delta")
    (tmp_path / "store").rename(tmp_path / "away")
    with pytest.raises(StoreUnavailable, match=ref.sha256):
        store.read("delta", ref)
    (tmp_path / "away").rename(tmp_path / "store")
    assert store.read("delta", ref) == b"a delta"
