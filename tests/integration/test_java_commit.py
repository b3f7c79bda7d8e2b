"""Java decides like Python, and makes the same bytes."""

import json
import subprocess
import time
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from itertools import product
from pathlib import Path
from typing import Any

import pytest

from strandline.commit.committable import Committable
from strandline.commit.committing import commit as commit_in_python
from strandline.commit.opening import Opening, append_open
from strandline.encoding.canonical import canonical_json, sha256_hex
from strandline.manifest import INT64_MAX, FileRef, OpenKey
from strandline.spec import Spec
from strandline.store import create_store
from strandline.store.base import Store
from strandline.store.chain import verify_chain
from tests.integration.java_runner import SPEC, TIMEOUT_S, answer, command

VECTORS = Path(__file__).parents[1] / "golden" / "commit"
RUN = "a" * 32
LOOKED_FOR_S = 6.35  # 0.05 + 0.1 + ... + 3.2
LATE_S = 1.2


def test_java_decides_every_golden_vector_like_python() -> None:
    expected = {
        file.name: json.loads(file.read_bytes())["expect"] for file in VECTORS.glob("*.json")
    }
    got = json.loads(answer("decide", VECTORS))
    assert len(expected) >= 50
    assert got == expected


@pytest.fixture
def store(tmp_path: Path) -> Store:
    return opened_store(tmp_path)


def opened_store(folder: Path) -> Store:
    store = create_store(str(folder / "store"), Spec.parse(SPEC))
    append_open(
        store,
        Opening(
            "events",
            run=RUN,
            key=OpenKey(restored=None, submission=RUN),
            positions={"0": 0, "10": 0, "9": 0},
            source={"topic": "clicks"},
            time_ms=1,
        ),
    )
    return store


def committable(delta: FileRef, *, moved: int = 5, checkpoint: int = 1) -> bytes:
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
        "checkpoint": checkpoint,
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


def commit_in_java(store: Store, data: bytes, folder: Path, *restored: str) -> dict[str, Any]:
    file = folder / "committable.json"
    file.write_bytes(data)
    result: dict[str, Any] = json.loads(answer("commit", store.url, file, *restored))
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


FAULTS: dict[str, tuple[Callable[[Path], object], str]] = {
    "lost": (Path.unlink, "{file} is missing; "),
    "cut": (lambda file: file.write_bytes(b"a del"), "{file} has 5 bytes; "),
    "altered": (
        lambda file: file.write_bytes(b"A delta"),
        f"{{file}} is of SHA-256 {sha256_hex(b'A delta')}; ",
    ),
}


EPOCHS: dict[str, tuple[int, tuple[str, ...]]] = {
    "fresh": (1, ()),
    "fresh after a restart": (8, ("7",)),
    "restored": (7, ("7",)),
    "restored at the end of the input": (INT64_MAX, ("7",)),
}
"""By name: the checkpoint that ended the epoch, and the one that the attempt was restored from."""


def test_a_delta_file_lost_or_altered_between_prepare_and_commit(tmp_path: Path) -> None:
    """The message says what, got, expected, and what to do."""
    cases = [
        *product(FAULTS, ("fresh", "restored")),
        ("lost", "fresh after a restart"),
        ("altered", "restored at the end of the input"),
    ]
    cases.remove(("altered", "fresh"))  # its own files are asked for their length
    with ThreadPoolExecutor(len(cases)) as pool:
        list(pool.map(lambda case: check_fault(tmp_path, *case), cases))


def check_fault(folder: Path, fault: str, epoch: str) -> None:
    spoil, words = FAULTS[fault]
    folder = folder / f"{fault}-{epoch}"
    folder.mkdir()
    store = opened_store(folder)
    delta = store.stage("delta", b"a delta")
    (file,) = Path(store.url, "deltas").iterdir()
    spoil(file)
    checkpoint, restored = EPOCHS[epoch]
    data = committable(delta, checkpoint=checkpoint)
    fatal = commit_in_java(store, data, folder, *restored)["fatal"]
    assert fatal.startswith(
        "STRANDLINE[store_damaged] stream events: what was prepared of the events from"
        " {0=0, 9=0, 10=0} to {0=0, 9=0, 10=5} was lost before its commit: "
    )
    assert words.format(file=file) in fatal
    assert f"expected 7 bytes of SHA-256 {delta.sha256}. Nothing was committed: " in fatal
    assert "start again without a savepoint; the job reads these events again" in fatal
    assert store.head() == 1


def test_commit_waits_for_files_that_come_back(store: Store, tmp_path: Path) -> None:
    """A file that is late, then cannot be read, then its folder is away.

    Both last longer than a missing file is looked for.
    """
    data = committable(store.stage("delta", b"a delta"))
    (tmp_path / "committable.json").write_bytes(data)
    deltas, late, away = Path(store.url, "deltas"), tmp_path / "late", tmp_path / "away"
    (file,) = deltas.iterdir()
    file.rename(late)
    with subprocess.Popen(
        command("commit", store.url, tmp_path / "committable.json"), stdout=subprocess.PIPE
    ) as java:
        time.sleep(LATE_S)
        file.symlink_to(file)  # nobody reads it, root included: an error, as of a failing mount
        time.sleep(LOOKED_FOR_S)
        assert java.poll() is None
        deltas.rename(away)
        late.replace(away / file.name)
        time.sleep(LOOKED_FOR_S)
        assert java.poll() is None
        away.rename(deltas)
        out, _ = java.communicate(timeout=TIMEOUT_S)
    assert json.loads(out) == {"version": 2, "mine": False}
    assert verify_chain(store, files=True) == 2
