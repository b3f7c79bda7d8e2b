"""Who may read a store's files, whatever the umask of the process that writes them."""

import os
import stat
from collections.abc import Iterator
from pathlib import Path

import pytest

from strandline.store import ReadableBy, create_store
from strandline.transactions.transaction import open_stream
from strandline.upkeep.compactor import Compactor
from tests.streams import clicks, clicks_spec

SPEC = clicks_spec(bits=10)


@pytest.fixture(autouse=True)
def usual_umask() -> Iterator[None]:
    before = os.umask(0o022)
    yield
    os.umask(before)


def modes(root: Path) -> tuple[set[str], set[str]]:
    """Return the modes of all folders and of all files."""
    found: tuple[set[str], set[str]] = set(), set()
    for path in (root, *root.rglob("*")):
        found[path.is_file()].add(f"{stat.S_IMODE(path.lstat().st_mode):o}")
    return found


def filled(root: Path, readable_by: ReadableBy | None) -> Path:
    store = create_store(root, SPEC, readable_by=readable_by)
    with open_stream(store, "events").begin() as transaction:
        transaction.learn([*clicks(20), b"{"])
    Compactor(store, every=1).run_once()
    return root


def test_by_default_the_group_may_read_and_others_nothing(tmp_path: Path) -> None:
    assert modes(filled(tmp_path / "store", None)) == ({"750"}, {"640"})


def test_by_default_a_stricter_umask_holds(tmp_path: Path) -> None:
    os.umask(0o077)
    assert modes(filled(tmp_path / "store", None)) == ({"700"}, {"600"})


@pytest.mark.parametrize(
    ("readable_by", "folders", "files"),
    [("owner", "700", "600"), ("group", "750", "640"), ("all", "755", "644")],
)
def test_whom_the_owner_names_may_read(
    tmp_path: Path, readable_by: ReadableBy, folders: str, files: str
) -> None:
    os.umask(0o077)
    assert modes(filled(tmp_path / "store", readable_by)) == ({folders}, {files})


def test_in_a_folder_that_all_may_read_others_get_nothing(tmp_path: Path) -> None:
    root = tmp_path / "store"
    root.mkdir(mode=0o755)
    filled(root, None)
    assert {f"{stat.S_IMODE(path.stat().st_mode):o}" for path in root.iterdir()} == {"750"}


def test_later_files_follow_their_folder(tmp_path: Path) -> None:
    root = filled(tmp_path / "store", "owner")
    (root / "deltas").chmod(0o755)
    with open_stream(root, "events").begin() as transaction:
        transaction.learn(clicks(20, seed=1))
    found = {f"{stat.S_IMODE(path.stat().st_mode):o}" for path in (root / "deltas").iterdir()}
    assert found == {"600", "644"}
