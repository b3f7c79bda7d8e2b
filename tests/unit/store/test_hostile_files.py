"""What stands in a store's folder is no file: everybody who reads it says so, at once."""

import os
import re
import socket
from collections.abc import Callable
from functools import partial
from pathlib import Path

import pytest

from strandline.errors import StoreError
from strandline.limits import MANIFEST_BYTES_MAX
from strandline.reading.model import open_model
from strandline.reading.reader import Reader
from strandline.store import FileKind, PosixStore, create_store, open_store
from strandline.transactions.transaction import open_stream
from strandline.upkeep.compactor import Compactor
from strandline.upkeep.fsck import check_store
from tests.streams import clicks, clicks_spec

pytestmark = pytest.mark.timeout(120)  # kernels may have to be compiled first

SPEC = clicks_spec(bits=10)


def make_socket(path: Path) -> None:
    with socket.socket(socket.AF_UNIX) as made:
        made.bind(os.path.relpath(path))  # a path of at most 107 bytes


HOSTILE: dict[str, Callable[[Path], None]] = {
    "a FIFO": os.mkfifo,
    "a symbolic link": lambda path: path.symlink_to("/dev/zero"),
    "a folder": lambda path: path.mkdir(),
    "a socket": make_socket,
}
FILES = {
    "manifest": "versions/0000000/0000000002.json",
    "delta": "deltas/*.safetensors",
    "base": "bases/0000000002.safetensors",
    "spec": "spec/*.json",
    "rejects": "rejects/*.jsonl",
}


@pytest.fixture
def root(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A store with two versions, the newest with a base, and a rejected event."""
    monkeypatch.chdir(tmp_path)
    store = create_store(tmp_path / "store", SPEC)
    stream = open_stream(store, "events")
    with stream.begin() as transaction:
        transaction.learn([*clicks(20), b"{"])
    Compactor(store, every=1).run_once()
    return tmp_path / "store"


def replace(root: Path, file: str, hostile: str) -> None:
    found = list(root.glob(FILES[file]))
    assert found
    for path in found:
        path.unlink()
        HOSTILE[hostile](path)


@pytest.mark.parametrize("hostile", HOSTILE)
@pytest.mark.parametrize("file", FILES)
def test_reading_it_is_refused(root: Path, file: str, hostile: str) -> None:
    store = PosixStore(root)
    reads: dict[str, Callable[[], object]] = {
        "manifest": partial(store.manifest, 2),
        "base": partial(store.base, 2),
    }
    kinds: tuple[FileKind, ...] = ("delta", "rejects", "spec")
    for kind in kinds:
        reads[kind] = partial(store.read, kind, store.staged(kind)[0])
    replace(root, file, hostile)
    with pytest.raises(StoreError, match=re.escape(f"is {hostile}, expected a regular file")):
        reads[file]()


@pytest.mark.parametrize("hostile", HOSTILE)
@pytest.mark.parametrize("file", ["manifest", "delta", "spec"])
def test_a_command_answers_with_an_error(root: Path, file: str, hostile: str) -> None:
    (root / "bases/0000000002.safetensors").unlink()
    replace(root, file, hostile)
    with pytest.raises(StoreError, match=hostile):
        open_model(root)
    if file != "delta":  # a start reads no deltas
        with pytest.raises(StoreError, match=hostile):
            open_stream(root, "other")
    store = PosixStore(root)
    assert check_store(store).damages
    with pytest.raises(StoreError, match=hostile):
        Compactor(store, every=1).run_once()


@pytest.mark.parametrize("hostile", HOSTILE)
def test_a_base_is_passed_over(root: Path, hostile: str) -> None:
    replace(root, "base", hostile)
    assert open_model(root).version == 2
    assert check_store(open_store(root)).damages


@pytest.mark.parametrize("hostile", HOSTILE)
def test_a_reader_serves_on_says_why_and_closes(root: Path, hostile: str) -> None:
    with Reader(root, poll_ms=1) as reader:
        HOSTILE[hostile](root / "versions/0000000/0000000003.json")
        with pytest.raises(StoreError, match=hostile):
            reader.wait(3, timeout_s=10)
        assert reader.model.version == 2


@pytest.mark.parametrize("hostile", HOSTILE)
def test_a_segment_is_refused(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, hostile: str
) -> None:
    monkeypatch.chdir(tmp_path)
    (tmp_path / "versions").mkdir()
    HOSTILE[hostile](tmp_path / "versions/0000000")
    with pytest.raises(StoreError):
        open_store(tmp_path)


@pytest.mark.parametrize("hostile", HOSTILE)
def test_a_temporary_name_is_not_left_over(root: Path, hostile: str) -> None:
    HOSTILE[hostile](root / "deltas/.tmp-1")
    assert open_store(root).leftovers(discard=True) == []


def test_a_manifest_without_an_end_is_not_read(root: Path) -> None:
    with (root / "versions/0000000/0000000003.json").open("wb") as file:
        file.truncate(1 << 40)
    with pytest.raises(StoreError, match=f"at most {MANIFEST_BYTES_MAX} are read"):
        open_model(root)
