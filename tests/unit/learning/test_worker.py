"""Workers through the histories of the protocol, one job in this process."""

import json
from collections.abc import Sequence

import numpy as np
import pytest

from strandline.errors import StoreUnavailable, TooManyRejected
from strandline.events.block import Block, Mark
from strandline.events.records import Records
from strandline.manifest import Span
from strandline.store import MemoryStore, create_store, read_manifest
from strandline.transactions.transaction import open_stream
from tests.jobs import Job, block
from tests.oracles import sequential
from tests.streams import clicks, clicks_spec

SPEC = clicks_spec(bits=12)


def slot_count(job: Job) -> int:
    """How many slots the first worker's local model knows."""
    return len(job.workers[0]._state.local["ctr.zn"].items()[0])


def test_pending_deltas_are_not_forgotten_while_commits_are_two_epochs_late() -> None:
    """Local state is the adopted version and the own deltas it does not contain, in seq order."""
    job = Job(create_store("memory:", SPEC))
    records, learned = clicks(5000), []
    for begin in range(0, 5000, 500):
        prepared = job.epoch({0: records[begin : begin + 500]})
        job.commit(keep=2)
        (delta,) = prepared.body.deltas
        learned.append((delta.seq, delta.pending, delta.adopted))
    assert learned[:4] == [(1, [], 1), (2, [1], 1), (3, [1, 2], 1), (4, [2, 3], 2)]
    counts = job.workers[0]._state.local["popularity.counts"].items()[1]
    assert counts[:, 0].sum() == 5000  # none twice, none missing
    oracle = sequential.run(SPEC, records).models["ctr"]
    slots = np.array(sorted(oracle.state), np.uint32)
    local = job.workers[0]._state.local["ctr.zn"].gather(slots)
    expected = [oracle.state[slot] for slot in slots.tolist()]
    np.testing.assert_allclose(local, expected, rtol=2e-5, atol=2e-5)


def test_a_restarted_worker_goes_on_from_the_seq_that_the_version_names() -> None:
    store = create_store("memory:", SPEC)
    first = Job(store)
    for seed in range(57):
        first.epoch({0: clicks(3, seed)})
    first.commit()
    second = Job(store, run=2)
    assert second.epoch({0: clicks(3)}).seqs == {"0": 58}
    second.commit()
    assert second.entry.run == second.run
    assert read_manifest(store, store.head()).streams["events"].seqs == {"0": 58}


def test_fewer_workers_keep_the_seqs_of_those_that_are_gone() -> None:
    store = create_store("memory:", SPEC)
    first = Job(store, 2)
    first.epoch({0: clicks(3), 1: clicks(4)})
    first.commit()
    second = Job(store, 1, run=2, positions={"0": 0, "1": 0})
    second.epoch({0: clicks(3), 1: clicks(4)})
    second.commit()
    assert read_manifest(store, store.head()).streams["events"].seqs == {"0": 2, "1": 1}
    third = Job(store, 2, run=3)
    assert third.epoch({0: clicks(1), 1: clicks(1)}).seqs == {"0": 3, "1": 2}


def test_head_is_another_jobs_version_that_names_none_of_my_workers() -> None:
    """The version says nothing of this stream's pending deltas, so they stay pending."""
    store = create_store("memory:", SPEC)
    job = Job(store)
    other = open_stream(store, "other")
    job.epoch({0: clicks(200, 1)})
    with other.begin() as transaction:
        transaction.learn(clicks(100, 2))
    job.feed(0, clicks(50, 3))
    delta = job.mark(0)
    assert (delta.adopted, delta.pending) == (store.head(), (1,))
    counts = job.workers[0]._state.local["popularity.counts"].items()[1]
    assert counts[:, 0].sum() == 350


def test_a_run_begins_on_a_version_of_another_stream_only() -> None:
    store = create_store("memory:", SPEC)
    with open_stream(store, "other").begin() as transaction:
        transaction.learn(clicks(100))
    assert Job(store).epoch({0: clicks(10)}).seqs == {"0": 1}


def test_one_subtask_finishes_long_before_the_others() -> None:
    job = Job(create_store("memory:", SPEC), 2)
    job.epoch({0: clicks(100), 1: clicks(100, 1)})
    for seed in range(2, 5):
        job.feed(0, clicks(50, seed))
        job.mark(0)
        assert job.cut().seqs == {"0": seed}
    job.commit()
    assert job.entry.positions == {"0": 250, "1": 100}
    assert job.workers[0].version < job.store.head()
    assert job.store.head() == 5


def test_a_worker_without_events_takes_no_seq_and_reports_its_holes() -> None:
    job = Job(create_store("memory:", SPEC))
    hole = Block(0, 0, 7, np.empty(0, np.int64), Records.of([]))
    job.workers[0].learn(hole)
    job.moves[0].append(Span(0, 0, 7))
    delta = job.mark(0)
    assert (delta.seq, delta.moves, delta.spans) == (0, (Span(0, 0, 7),), (Span(0, 0, 7),))
    prepared = job.cut()
    assert (prepared.seqs, prepared.body.deltas, prepared.body.files) == ({}, [], [])
    job.commit()
    assert job.entry.positions == {"0": 7}
    idle = job.mark(0)
    assert (idle.seq, idle.moves, idle.adopted) == (0, (), 2)


def test_an_epoch_of_rejected_events_only_is_counted_and_kept() -> None:
    job = Job(create_store("memory:", SPEC))
    prepared = job.epoch({0: [None, b"", b"{", b'{"item": "a"}']})
    job.commit()
    body = prepared.body
    assert (body.counts.rejected, body.counts.learned, body.files) == (4, 0, [])
    assert body.rejects.reasons == {"empty": 2, "missing_label": 1, "not_json": 1}
    assert body.rejects.file is not None
    lines = job.store.read("rejects", body.rejects.file).splitlines()
    assert [json.loads(line)["offset"] for line in lines] == [0, 1, 2, 3]
    assert prepared.seqs == {"0": 1}


def test_too_many_rejected_events_end_the_run() -> None:
    job = Job(create_store("memory:", SPEC))
    job.feed(0, [b"no json"] * 600 + clicks(399))
    job.mark(0)  # 999 events
    job.feed(0, [b"no json", *clicks(1)])
    with pytest.raises(
        TooManyRejected, match=r"(?s)601 of the run's 1001 events .* 0\.5 .*not_json"
    ):
        job.mark(0)


def test_a_rejected_share_at_the_limit_is_accepted() -> None:
    job = Job(create_store("memory:", SPEC))
    job.epoch({0: [b"no json"] * 1000 + clicks(1000)})


def prepared_bytes(block_events: int) -> Sequence[bytes]:
    job = Job(create_store("memory:", SPEC), block_events=block_events)
    found = []
    for seed in range(3):
        found.append(job.epoch({0: clicks(5000, seed)}).encode())
        job.commit(keep=1)
    return found


def test_how_the_source_cuts_blocks_changes_no_bit() -> None:
    assert prepared_bytes(13) == prepared_bytes(4999)


def test_a_superseded_run_does_not_take_anothers_seqs_for_its_own() -> None:
    """Seq 1 of the run that took over is not the seq 1 that this worker still waits for."""
    store = create_store("memory:", SPEC)
    zombie = Job(store)
    zombie.epoch({0: clicks(100, 1)})
    taker = Job(store, run=2)
    taker.epoch({0: clicks(40, 2)})
    taker.commit()
    zombie.feed(0, clicks(10, 3))
    assert zombie.mark(0).pending == (1,)


class Absent(MemoryStore):
    """Does not answer while it is absent."""

    absent = False

    def manifest(self, version: int) -> bytes | None:
        if self.absent:
            raise StoreUnavailable("no answer")
        return super().manifest(version)


def test_a_worker_learns_on_while_the_store_does_not_answer() -> None:
    store, origin = Absent(), create_store("memory:", SPEC)
    assert isinstance(origin, MemoryStore)
    store._files, store._versions = origin._files, origin._versions
    job = Job(store)
    job.epoch({0: clicks(100, 1)})
    job.commit()
    store.absent = True
    job.feed(0, clicks(50, 2))
    assert (job.mark(0).adopted, job.workers[0].version) == (1, 1)
    store.absent = False
    job.feed(0, clicks(25, 3))
    delta = job.mark(0)
    assert (delta.adopted, delta.pending) == (2, (2,))
    counts = job.workers[0]._state.local["popularity.counts"].items()[1]
    assert counts[:, 0].sum() == 175


def test_the_first_epoch_stands_on_the_version_that_start_names() -> None:
    store = create_store("memory:", SPEC)
    job = Job(store)
    with open_stream(store, "other").begin() as transaction:
        transaction.learn(clicks(10))
    job.feed(0, clicks(10))
    assert job.mark(0).adopted == job.start
    job.feed(0, clicks(10))
    assert job.mark(0).adopted == store.head()


def test_giving_up_goes_back_to_a_seq_and_no_further() -> None:
    """What is committed stays in local state, though the worker has not met its version yet."""
    job = Job(create_store("memory:", SPEC))
    job.epoch({0: clicks(100, 1)})
    job.epoch({0: clicks(30, 2)})
    job.feed(0, clicks(7, 3))
    worker = job.workers[0]
    worker.forget(after_seq=1)
    assert [own.key for own in worker._state.pending] == [1]
    counts = worker._state.local["popularity.counts"].items()[1]
    assert counts[:, 0].sum() == 100
    worker.learn(block(0, 100, clicks(5, 4)))
    assert worker.mark(Mark(None, (Span(0, 100, 105),))).seq == 2
