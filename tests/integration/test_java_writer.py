"""The sink's writer, in Java, beside the real workers, merger and commits, in Python."""

import json
import time
from collections.abc import Iterator
from pathlib import Path

import pytest

from strandline.commit.opening import Opening, append_open, check_one_stream
from strandline.commit.prepared import Prepared
from strandline.errors import SecondStream
from strandline.manifest import OpenKey, Span
from strandline.store import create_store, read_manifest, verify_chain
from strandline.store.base import Store
from strandline.transactions.transaction import open_stream
from tests.integration.java_roles import Roles
from tests.jobs import Job
from tests.streams import clicks, clicks_spec

SPEC = clicks_spec(bits=10)


@pytest.fixture
def store(tmp_path: Path) -> Store:
    return create_store(str(tmp_path / "store"), SPEC)


@pytest.fixture
def job(store: Store) -> Job:
    return Job(store, 2)


@pytest.fixture
def writer(store: Store, job: Job) -> Iterator[Roles]:
    with Roles(store, job.run) as writer:
        writer("fresh")
        yield writer


def take_over(store: Store, run: str = "e" * 32) -> None:
    key = OpenKey(restored=None, submission=run)
    append_open(store, Opening("events", run=run, key=key, positions={}, source={}, time_ms=0))


def test_every_epoch_becomes_the_next_version(job: Job, writer: Roles) -> None:
    """Also of a new partition, and of one that stands still; an empty one becomes none."""
    for records in ({0: clicks(5)}, {1: clicks(3), 7: clicks(4)}, {}, {0: clicks(2), 7: clicks(1)}):
        assert writer.write(job.epoch(records)) == {}
    committables, state = writer.epoch()
    positions = {"0": 7, "1": 3, "7": 5}
    assert json.loads(state) == {"positions": positions, "run": job.run}
    assert [writer.commit(each) for each in committables] == [{"mine": False}] * 3
    assert writer.epoch() == ([], state)
    assert verify_chain(job.store, files=True) == 4
    stands = [read_manifest(job.store, version).streams["events"] for version in (2, 3, 4)]
    assert [entry.positions for entry in stands] == [
        {"0": 5, "1": 0},
        {"0": 5, "1": 3, "7": 4},
        positions,
    ]


@pytest.mark.parametrize("begin", [4, 6])
def test_partition_that_does_not_go_on_where_it_stood(job: Job, writer: Roles, begin: int) -> None:
    """Events were lost or come twice between source and sink."""
    writer.write(job.epoch({0: clicks(5)}))
    wrong = Prepared(
        run=job.run, start=job.start, moves=(Span(0, begin, 9),), seqs={}, time_ms=1,
        body=job.epoch({}).body,
    )  # fmt: skip
    fatal = writer.write(wrong)["fatal"]
    assert fatal.startswith("STRANDLINE[gap] stream events: partition 0 stood at 5, but the epoch")
    assert f"[{begin}, 9)" in fatal


def test_merger_that_stands_on_another_start(job: Job, writer: Roles) -> None:
    prepared = job.epoch({0: clicks(5)})
    other = Prepared(
        run=job.run, start=job.start + 1, moves=prepared.moves, seqs={}, time_ms=1,
        body=prepared.body,
    )  # fmt: skip
    assert "the merger stands on run" in writer.write(other)["restart"]


def ends(job: Job, writer: Roles) -> str:
    """Epochs without events, until one ends the job; the store is asked beside them."""
    deadline_s = time.monotonic() + 30
    while time.monotonic() < deadline_s:
        answer = writer.write(job.epoch({}))
        if answer:
            return str(answer["fatal"])
        time.sleep(0.02)
    raise AssertionError("the job does not notice")


def test_idle_job_learns_that_it_was_superseded(job: Job, writer: Roles, store: Store) -> None:
    assert writer.write(job.epoch({})) == {}
    with open_stream(store, "other").begin() as transaction:
        transaction.learn(clicks(3))
    for _ in range(20):
        assert writer.write(job.epoch({})) == {}, "another stream takes nothing over"
        time.sleep(0.02)
    take_over(store)
    fatal = ends(job, writer)
    assert fatal.startswith(f"STRANDLINE[superseded] stream events: this is run {job.run}")
    assert "e" * 32 in fatal


def test_idle_job_passes_barriers_while_the_store_is_away(
    job: Job, writer: Roles, store: Store
) -> None:
    empty = job.epoch({})
    assert writer.write(empty) == {}
    Path(store.url).rename(f"{store.url}.away")
    for _ in range(20):
        assert writer.write(empty) == {}
        time.sleep(0.02)
    Path(f"{store.url}.away").rename(store.url)
    take_over(store)
    assert "STRANDLINE[superseded]" in ends(job, writer)


def test_aborted_checkpoint_commits_with_the_next_one_and_after_the_restore_both_are_mine(
    job: Job, writer: Roles, store: Store
) -> None:
    """Checkpoint N aborts after the writer's barrier; N + 1 commits both, and is restored."""
    epochs = []
    for records in ({0: clicks(5), 1: clicks(3)}, {0: clicks(2)}):
        writer.write(job.epoch(records))
        committables, state = writer.epoch()
        epochs += committables
    for mine in (False, True):
        assert [writer.commit(epoch) for epoch in epochs] == [{"mine": mine}] * 2
    with Roles(store, job.run) as restored:
        assert restored("restored", 2, state) == {}
        assert restored.write(job.epoch({})) == {}
        assert restored.epoch() == ([], state)
    assert read_manifest(store, 4).streams["events"].positions == {"0": 7, "1": 3}
    assert verify_chain(store, files=True) == 4


def test_restored_writer_opens_its_run_again_once(job: Job, store: Store) -> None:
    """A partition that did not move in the last epoch before the restore stands where it stood."""
    job.epoch({0: clicks(5), 1: clicks(3)})
    job.epoch({0: clicks(2)})
    job.commit()
    state = json.dumps({"positions": {"0": 7, "1": 3}, "run": job.run})
    with Roles(store, job.run) as writer:
        for _ in range(2):  # the second restore of the same checkpoint finds the first one's open
            assert writer("restored", 17, state) == {}
            assert store.head() == 4
        assert json.loads(writer.epoch()[1]) == json.loads(state)
    opened = read_manifest(store, 4).streams["events"]
    assert (opened.run, opened.positions, opened.open) == (job.run, {"0": 7, "1": 3}, 4)
    assert opened.seqs == {"0": 2, "1": 1}
    assert verify_chain(store, files=True) == 4


def test_restored_state_does_not_stand_where_the_store_stands(job: Job, store: Store) -> None:
    job.epoch({0: clicks(7), 1: clicks(3)})
    job.commit()
    cases = [
        ({"0": 5, "1": 3}, "rival"),  # an older savepoint, or a zombie moved head on
        ({"0": 9, "1": 3}, "gap"),
        ({"0": 9, "1": 0}, "rival"),
        ({"0": 7}, "rival"),
        ({"0": 7, "1": 3, "2": 0}, "gap"),
    ]
    with Roles(store, "d" * 32) as writer:
        for positions, code in cases:
            answer = writer("restored", 17, json.dumps({"positions": positions, "run": job.run}))
            expected = f"STRANDLINE[{code}] stream events: version 2 stands at"
            assert answer["fatal"].startswith(expected), positions
    assert store.head() == 2


def test_restored_run_was_superseded(job: Job, store: Store) -> None:
    """Also an old savepoint whose positions fit."""
    take_over(store)
    state = json.dumps({"positions": {"0": 0, "1": 0}, "run": job.run})
    with Roles(store, job.run) as writer:
        assert "STRANDLINE[superseded]" in writer("restored", 17, state)["fatal"]
    assert store.head() == 2


def test_restored_run_beside_another_stream_where_the_order_of_commits_counts(
    job: Job, store: Store
) -> None:
    open_stream(store, "other")
    tables = ("last.rows", "trend.rows")
    state = json.dumps({"positions": {"0": 0, "1": 0}, "run": job.run})
    with Roles(store, job.run, *tables) as writer:
        fatal = writer("restored", 17, state)["fatal"]
    with pytest.raises(SecondStream) as python:
        check_one_stream(store, "events", tables)
    assert fatal == f"STRANDLINE[second_stream] {python.value}"
    assert store.head() == 2


def test_two_submissions_from_one_savepoint(job: Job, store: Store) -> None:
    """Both open, of one run; the first to commit wins, and the other's commit is a rival."""
    state = json.dumps({"positions": {"0": 0, "1": 0}, "run": job.run})
    for submission in ("c" * 32, "d" * 32):
        with Roles(store, submission) as writer:
            assert writer("restored", 17, state) == {}
    assert store.head() == 3


def test_folders_of_versions_that_are_empty_are_passed_over(job: Job, store: Store) -> None:
    """Their maker died before it made a version, or they are somebody else's."""
    for name in ("000001", "999999"):
        Path(store.url, "versions", name).mkdir()
    with Roles(store, job.run) as writer:
        assert writer("find") == {"version": 1}


HOSTILE_OPENS: list[tuple[int, bytes, bytes]] = [
    (2, b'"previous":1', b'"previous":2'),  # a loop of one
    (2, b'"previous":1', b'"previous":3'),
    (2, b'"previous":1', b'"previous":-1'),
    (2, b'"previous":1', b'"previous":"1"'),
    (2, b'"previous":1', b'"previou":1'),
    (2, b'"restored":null', b'"restored":"x"'),
    (2, b'"submission":"', b'"submissions":"'),
    (2, b'"kind":"open"', b'"kind":"train"'),
    (1, b'"events":{', b'"eventz":{'),
    (2, b'"0":0', b'"+0":0'),
    (2, b'"0":0', b'"00":0'),
    (2, b'"0":0', b'"99999999999":0'),
    (2, b'"format":1', b'"format":2'),
]


def test_hostile_list_of_opens_is_damage_and_no_restart_loop(job: Job, store: Store) -> None:
    take_over(store)
    with Roles(store, job.run) as writer:
        assert "STRANDLINE[superseded]" in writer("find")["fatal"]
        for version, found, put in HOSTILE_OPENS:
            path = Path(store.url, "versions", "0000000", f"{version:010}.json")
            sound = path.read_bytes()
            assert found in sound
            path.write_bytes(sound.replace(found, put))
            answer = writer("find")
            assert answer["fatal"].startswith("STRANDLINE[store_damaged] "), put
            path.write_bytes(sound)
