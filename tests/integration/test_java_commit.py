"""Java decides like Python, and makes the same bytes."""

import json
from pathlib import Path
from typing import Any

import pytest

from strandline.canonical import canonical_json
from strandline.commit import commit as commit_in_python
from strandline.committable import Committable
from strandline.manifest import FileRef, OpenKey
from strandline.opening import append_open
from strandline.spec import Spec
from strandline.store import create_store
from strandline.store.base import Store
from strandline.store.chain import verify_chain
from tests.integration.java_runner import SPEC, answer

VECTORS = Path(__file__).parents[1] / "golden" / "commit"
RUN = "a" * 32


def test_java_decides_every_golden_vector_like_python() -> None:
    expected = {
        file.name: json.loads(file.read_bytes())["expect"] for file in VECTORS.glob("*.json")
    }
    got = json.loads(answer("decide", VECTORS))
    assert len(expected) >= 50
    assert got == expected


@pytest.fixture
def store(tmp_path: Path) -> Store:
    store = create_store(str(tmp_path / "store"), Spec.parse(SPEC))
    append_open(
        store,
        "events",
        run=RUN,
        key=OpenKey(restored=None, submission=RUN),
        positions={"0": 0, "10": 0, "9": 0},
        source={"topic": "clicks"},
        time_ms=1,
    )
    return store


def committable(delta: FileRef, *, moved: int = 5) -> bytes:
    before = {"0": 0, "10": 0, "9": 0}
    counts = {"events": moved, "learned": moved, "refused": 0, "rejected": 0}
    worker = {"adopted": 1, "pending": [], "refused": None, "seq": 1, "worker": 0}
    worker |= {"events": moved, "learned": moved, "rejected": 0, "spans": [[10, 0, moved]]}
    file: dict[str, Any] = {"bytes": delta.bytes, "sha256": delta.sha256}
    file |= {"replica": 1, "rows": {"popularity.counts": 1}, "seqs": {}}
    file |= {"shard": 0, "shards": 1, "time_ms": 0}
    sums = {
        "events": moved,
        "labels": 0.1,
        "log_loss": 1e-7,
        "predictions": 1e16,
        "squared_error": 2.5,
        "weight": 5.0,
    }
    body = {
        "checkpoint": 1,
        "counts": counts,
        "deltas": [worker],
        "event_time_ms": [0, 0],
        "files": [file],
        "prequential": {"ctr": sums},
        "rejects": {"file": None, "reasons": {}},
    }
    data = canonical_json(
        {
            "after": before | {"10": moved},
            "before": before,
            "body": body,
            "first": {},
            "format": 1,
            "run": RUN,
            "seqs": {"0": 1},
            "stream": "events",
            "time_ms": 2,
        }
    )
    Committable.parse(data)
    return data


def commit_in_java(store: Store, data: bytes, folder: Path, epoch: str = "fresh") -> dict[str, Any]:
    file = folder / "committable.json"
    file.write_bytes(data)
    result: dict[str, Any] = json.loads(answer("commit", store.url, file, epoch))
    return result


def test_what_java_committed_is_mine_to_java_and_to_python(store: Store, tmp_path: Path) -> None:
    data = committable(store.stage("delta", b"a delta"))
    assert commit_in_java(store, data, tmp_path) == {"version": 2, "mine": False}
    assert commit_in_java(store, data, tmp_path) == {"version": 2, "mine": True}
    assert commit_in_python(store, data) == 2
    assert verify_chain(store, files=True) == 2


def test_java_recognises_what_python_committed(store: Store, tmp_path: Path) -> None:
    data = committable(store.stage("delta", b"a delta"))
    assert commit_in_python(store, data) == 2
    assert commit_in_java(store, data, tmp_path) == {"version": 2, "mine": True}


def test_another_commit_of_the_same_events_is_a_rival(store: Store, tmp_path: Path) -> None:
    delta = store.stage("delta", b"a delta")
    commit_in_python(store, committable(delta))
    fatal = commit_in_java(store, committable(delta, moved=6), tmp_path)["fatal"]
    assert fatal.startswith("STRANDLINE[rival] stream events: ")
    assert store.head() == 2


def test_a_delta_file_altered_between_prepare_and_the_commit_after_a_restart(
    store: Store, tmp_path: Path
) -> None:
    delta = store.stage("delta", b"a delta")
    (file,) = Path(store.url, "deltas").iterdir()
    file.write_bytes(b"A delta")
    fatal = commit_in_java(store, committable(delta), tmp_path, "restored")["fatal"]
    assert fatal.startswith(f"STRANDLINE[store_damaged] {file} was altered")
    assert store.head() == 1


@pytest.mark.parametrize("epoch", ["fresh", "restored"])
def test_a_delta_file_cut_between_prepare_and_commit(
    epoch: str, store: Store, tmp_path: Path
) -> None:
    delta = store.stage("delta", b"a delta")
    (file,) = Path(store.url, "deltas").iterdir()
    file.write_bytes(b"a del")
    fatal = commit_in_java(store, committable(delta), tmp_path, epoch)["fatal"]
    assert fatal.startswith(f"STRANDLINE[store_damaged] {file} was altered")
    assert store.head() == 1


@pytest.mark.parametrize("epoch", ["fresh", "restored"])
def test_a_delta_file_lost_between_prepare_and_commit(
    epoch: str, store: Store, tmp_path: Path
) -> None:
    delta = store.stage("delta", b"a delta")
    (file,) = Path(store.url, "deltas").iterdir()
    file.unlink()
    fatal = commit_in_java(store, committable(delta), tmp_path, epoch)["fatal"]
    assert fatal.startswith(f"STRANDLINE[store_damaged] {file} was removed")
    assert store.head() == 1
