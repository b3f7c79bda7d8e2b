import os
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest

from strandline.errors import NoStore, StoreDamaged, StoreExists, StoreUnavailable
from strandline.manifest import genesis
from strandline.spec import Spec
from strandline.store import MemoryStore, PosixStore, create_store, open_store, verify_chain
from tests.unit.store.test_power_loss import SPEC

OTHER = Spec.parse("""
name = "other"
[label]
path = "bought"
[features.item]
path = "item.id"
kind = "category"
[learners.popularity]
type = "counts"
feature = "item"
""")


def test_a_created_store_holds_genesis_and_its_spec(tmp_path: Path) -> None:
    url = str(tmp_path / "a" / "b" / "store")
    created = create_store(url, SPEC)
    opened = open_store(url)
    assert created.url == opened.url == url
    assert opened.manifest(0) == genesis(SPEC.sha256)
    assert opened.read("spec", SPEC.sha256) == SPEC.to_json()
    assert verify_chain(opened) == 0


def test_creating_again_with_the_same_spec_is_no_change(tmp_path: Path) -> None:
    create_store(str(tmp_path), SPEC).append(1, b"{}")
    before = sorted(tmp_path.rglob("*"))
    assert create_store(str(tmp_path), SPEC).head() == 1
    assert sorted(tmp_path.rglob("*")) == before


def test_another_spec_is_refused(tmp_path: Path) -> None:
    create_store(str(tmp_path), SPEC)
    with pytest.raises(StoreExists, match=f"(?s)label.path is .* holds .{SPEC.sha256}"):
        create_store(str(tmp_path), OTHER)
    assert not list(tmp_path.glob(f"spec/{OTHER.sha256}*"))


def test_racing_creators_of_two_specs_leave_one_store(tmp_path: Path) -> None:
    def create(index: int) -> bool:
        try:
            create_store(str(tmp_path), (SPEC, OTHER)[index % 2])
        except StoreExists:
            return False
        return True

    with ThreadPoolExecutor(8) as pool:
        landed = list(pool.map(create, range(8)))
    assert set(landed[::2]) != set(landed[1::2])
    assert verify_chain(open_store(str(tmp_path))) == 0


def test_relative_paths_become_absolute(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    url = create_store("models/clicks", SPEC).url
    monkeypatch.chdir("/")
    assert url == str(tmp_path / "models/clicks")
    assert open_store(url).head() == 0


def test_home_is_expanded(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("HOME", str(tmp_path))
    assert create_store("~/clicks", SPEC).url == str(tmp_path / "clicks")


def test_memory_stores_are_each_their_own() -> None:
    store = create_store("memory:", SPEC)
    assert isinstance(store, MemoryStore)
    assert store.head() == 0
    with pytest.raises(NoStore):
        open_store("memory:")


@pytest.mark.parametrize("url", ["", "s3://bucket/model", "file:///tmp/x", "a\0b", "http://x"])
def test_urls_of_no_known_kind_make_no_folder(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, url: str
) -> None:
    monkeypatch.chdir(tmp_path)
    with pytest.raises(StoreUnavailable, match="expected the path of a folder"):
        create_store(url, SPEC)
    with pytest.raises(StoreUnavailable, match="expected the path of a folder"):
        open_store(url)
    assert os.listdir(tmp_path) == []


def test_opening_what_is_no_store_says_what_is_there(tmp_path: Path) -> None:
    with pytest.raises(NoStore, match="no such folder"):
        open_store(str(tmp_path / "missing"))
    with pytest.raises(NoStore, match="a folder without a store"):
        open_store(str(tmp_path))
    PosixStore(tmp_path).stage("spec", SPEC.to_json())
    with pytest.raises(NoStore, match="never finished; create it again"):
        open_store(str(tmp_path))
    assert create_store(str(tmp_path), SPEC).head() == 0
    assert open_store(str(tmp_path)).head() == 0


def test_a_folder_with_other_things_is_left_alone(tmp_path: Path) -> None:
    (tmp_path / "thesis.tex").touch()
    with pytest.raises(StoreExists, match=r"other things \(thesis.tex\)"):
        create_store(str(tmp_path), SPEC)
    assert os.listdir(tmp_path) == ["thesis.tex"]
    with pytest.raises(NoStore, match="without a store"):
        open_store(str(tmp_path))


def test_a_fresh_volume_is_empty_enough(tmp_path: Path) -> None:
    (tmp_path / "lost+found").mkdir()
    (tmp_path / ".snapshot").mkdir()
    assert create_store(str(tmp_path), SPEC).head() == 0


def test_a_file_is_no_folder(tmp_path: Path) -> None:
    (tmp_path / "file").touch()
    url = str(tmp_path / "file")
    with pytest.raises(StoreUnavailable, match="is a file; expected the folder"):
        create_store(url, SPEC)
    with pytest.raises(StoreUnavailable, match="is a file; expected the folder"):
        open_store(url)


def test_a_newer_format_asks_for_an_upgrade(tmp_path: Path) -> None:
    create_store(str(tmp_path), SPEC)
    first = tmp_path / "versions/0000000/0000000000.json"
    newer = first.read_bytes().replace(b'"format":1', b'"format":2,"mood":"good"')
    first.unlink()
    first.write_bytes(newer)
    with pytest.raises(StoreDamaged, match=r"format 2 is newer.*upgrade strandline"):
        open_store(str(tmp_path))
    with pytest.raises(StoreDamaged, match=r"format 2 is newer.*upgrade strandline"):
        create_store(str(tmp_path), SPEC)


def test_a_lost_spec_is_damage(tmp_path: Path) -> None:
    create_store(str(tmp_path), SPEC)
    (tmp_path / f"spec/{SPEC.sha256}.json").unlink()
    with pytest.raises(StoreDamaged, match="missing"):
        open_store(str(tmp_path))
