"""The committer, in Java, with the store agent that does what it asks."""

import json
import time
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from itertools import product
from pathlib import Path

import msgspec
import pytest

from strandline.commit.committable import committable_from
from strandline.commit.committing import commit as commit_in_python
from strandline.commit.opening import Opening, append_open
from strandline.commit.prepared import Prepared
from strandline.encoding.canonical import sha256_hex
from strandline.manifest import INT64_MAX, FileRef, OpenKey, Span, TrainBody
from strandline.spec import Spec
from strandline.store import create_store
from strandline.store.base import Store
from strandline.store.chain import verify_chain
from tests.golden.commit_lines import train_body
from tests.integration.java_roles import SUBMISSION as RUN
from tests.integration.java_roles import Roles, commit_step, committable
from tests.integration.java_runner import SPEC

BEFORE = {"0": 0, "10": 0, "9": 0}
LOOKED_FOR_S = 6.35  # 0.05 + 0.1 + ... + 3.2
LATE_S = 1.2


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
            positions=BEFORE,
            source={"topic": "clicks"},
            time_ms=1,
        ),
    )
    return store


def prepared(delta: FileRef, *, moved: int = 5, checkpoint: int = 1) -> Prepared:
    """An epoch that moved partition 10 and names one delta file."""
    body = train_body()
    body["checkpoint"] = checkpoint
    body["deltas"][0] |= {"seq": 1, "spans": [[10, 0, moved]], "worker": 0}
    body["files"] = [body["files"][0] | {"bytes": delta.bytes, "sha256": delta.sha256}]
    body["rejects"]["file"] = None
    return Prepared(
        run=RUN,
        start=1,
        moves=(Span(10, 0, moved),),
        seqs={"0": 1},
        time_ms=2,
        body=msgspec.convert(body, TrainBody),
    )


def test_what_java_committed_is_mine_to_java_and_to_python(store: Store) -> None:
    epoch = prepared(store.stage("delta", b"a delta"))
    with Roles(store) as roles:
        assert roles.commit(committable(epoch, BEFORE)) == {"mine": False}
        assert roles.commit(committable(epoch, BEFORE)) == {"mine": True}
    assert commit_in_python(store, committable_from(epoch, BEFORE, "events")) == (2, True)
    assert verify_chain(store, files=True) == 2


def test_java_recognises_what_python_committed(store: Store) -> None:
    epoch = prepared(store.stage("delta", b"a delta"))
    assert commit_in_python(store, committable_from(epoch, BEFORE, "events")) == (2, False)
    with Roles(store) as roles:
        assert roles.commit(committable(epoch, BEFORE)) == {"mine": True}


def test_another_commit_of_the_same_events_is_a_rival(store: Store) -> None:
    delta = store.stage("delta", b"a delta")
    commit_in_python(store, committable_from(prepared(delta), BEFORE, "events"))
    with Roles(store) as roles:
        fatal = roles.commit(committable(prepared(delta, moved=6), BEFORE))["fatal"]
    assert fatal.startswith("STRANDLINE[rival] stream events: ")
    assert store.head() == 2


def test_what_no_merger_prepared_is_refused(store: Store) -> None:
    with Roles(store) as roles:
        for text in (b"", b"{}", b"{}\n{}", b'{"run":1}\n{}', b"\xff\n"):
            head = json.dumps({"before": BEFORE, "run": RUN}).encode()
            answer = roles.commit((head + b"\n" + text).hex())
            assert answer["fatal"].startswith("STRANDLINE[refused] not what a merger prepares")
    assert store.head() == 1


FAULTS: dict[str, tuple[Callable[[Path], object], str]] = {
    "lost": (Path.unlink, "{file} is missing; "),
    "cut": (lambda file: file.write_bytes(b"a del"), "{file} has 5 bytes, "),
    "altered": (
        lambda file: file.write_bytes(b"A delta"),
        f"{{file}} was altered: its SHA-256 is {sha256_hex(b'A delta')}; ",
    ),
}


EPOCHS: dict[str, tuple[int, int | None]] = {
    "fresh": (1, None),
    "fresh after a restart": (8, 7),
    "restored": (7, 7),
    "restored at the end of the input": (INT64_MAX, 7),
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
    with Roles(store) as roles:
        made = committable(prepared(delta, checkpoint=checkpoint), BEFORE)
        fatal = roles.commit(made, restored)["fatal"]
    assert fatal.startswith(
        "STRANDLINE[store_damaged] stream events: a file prepared from the events"
        f" {BEFORE} to {BEFORE | {'10': 5}} was lost before its commit: "
    )
    assert words.format(file=file) in fatal
    assert f"expected 7 bytes of SHA-256 {delta.sha256}. Nothing was committed: " in fatal
    assert "start again without a savepoint" in fatal
    assert store.head() == 1


@pytest.mark.long
def test_commit_waits_for_files_that_come_back(store: Store, tmp_path: Path) -> None:
    """A file that is late, then cannot be read, then its folder is away.

    Both last longer than a missing file is looked for.
    """
    made = committable(prepared(store.stage("delta", b"a delta")), BEFORE)
    deltas, late, away = Path(store.url, "deltas"), tmp_path / "late", tmp_path / "away"
    (file,) = deltas.iterdir()
    file.rename(late)
    with Roles(store) as roles, ThreadPoolExecutor(1) as waiting:
        roles.begin(*commit_step(made))
        answer = waiting.submit(roles.answer)
        time.sleep(LATE_S)
        file.symlink_to(file)  # nobody reads it, root included: an error, as of a failing mount
        time.sleep(LOOKED_FOR_S)
        assert not answer.done()
        deltas.rename(away)
        late.replace(away / file.name)
        time.sleep(LOOKED_FOR_S)
        assert not answer.done()
        away.rename(deltas)
        assert answer.result(timeout=60) == {"mine": False}
    assert verify_chain(store, files=True) == 2
