"""The merger: what a cut holds, whatever order it arrives in, and what it refuses."""

import itertools

import numpy as np
import pytest
from msgspec import structs

from strandline.commit.committable import committable_from
from strandline.commit.prepared import Prepared
from strandline.errors import DeltaDamaged, Gap, MergeError
from strandline.events.block import Mark
from strandline.learners.loading import make_learners, schemas_of
from strandline.learning.joining import join_shards
from strandline.learning.merger import Merger
from strandline.learning.worker import Worker
from strandline.learning.worker_delta import WorkerDelta
from strandline.manifest import Span, join_spans
from strandline.parameters.base import parameters_at
from strandline.parameters.delta import DeltaFile
from strandline.reading.model import open_model
from strandline.spec import Spec
from strandline.store import Store, create_store, read_manifest
from strandline.tables.changes import Changes, TableDelta, same_changes
from strandline.tables.table import apply_changes
from strandline.transactions.transaction import open_stream
from tests.jobs import Job
from tests.oracles import sequential
from tests.streams import clicks, clicks_spec

SPEC = clicks_spec(bits=12)
SCHEMAS = schemas_of(make_learners(SPEC))


def file_of(store: Store, prepared: Prepared) -> DeltaFile:
    (file,) = prepared.body.files
    return DeltaFile.decode(store.read("delta", file.ref), SCHEMAS)


def test_an_aborted_checkpoint_gives_one_cut_two_deltas_of_one_worker() -> None:
    job = Job(create_store("memory:", SPEC), 2)
    job.feed(0, clicks(300, 1))
    job.mark(0)  # the barrier of a checkpoint that is aborted before it reaches worker 1
    job.feed(0, clicks(200, 2))
    job.feed(1, clicks(100, 3))
    job.mark(0)
    job.mark(1)
    prepared = job.cut()
    assert prepared.moves == (Span(0, 0, 500), Span(1, 0, 100))
    assert prepared.seqs == {"0": 2, "1": 1}
    assert [(d.worker, d.seq, d.events) for d in prepared.body.deltas] == [
        (0, 1, 300),
        (0, 2, 200),
        (1, 1, 100),
    ]
    job.commit()
    records = [*clicks(300, 1), *clicks(200, 2), *clicks(100, 3)]
    counts = sequential.run(SPEC, records).counts["popularity"]
    rows, values = open_model(job.store)._parameters["popularity.counts"].items()
    assert dict(zip(rows.tolist(), map(tuple, values.tolist()), strict=True)) == counts


def test_two_deltas_of_one_worker_come_to_what_one_delta_comes_to() -> None:
    parts = clicks(300, 1), clicks(200, 2)
    twice, once = (Job(create_store("memory:", SPEC)) for _ in range(2))
    twice.feed(0, parts[0])
    twice.mark(0)
    twice.feed(0, parts[1])
    twice.mark(0)
    once.epoch({0: [*parts[0], *parts[1]]})
    two, one = file_of(twice.store, twice.cut()), file_of(once.store, once.prepared[0])
    for name, change in one.changes.items():
        np.testing.assert_array_equal(two.changes[name].rows, change.rows)
        np.testing.assert_allclose(two.changes[name].values, change.values, rtol=1e-5, atol=1e-6)


@pytest.mark.parametrize("rule", ["matched", "sum", "mean"])
def test_what_the_only_worker_learned_is_the_change_with_or_without_stats(rule: str) -> None:
    spec = clicks_spec(bits=12, merge=rule)
    files = []
    for alone in (False, True):
        job = Job(create_store("memory:", spec))
        job.workers[0] = Worker(job.store, job.stream, 0, alone=alone)
        job.workers[0].start(job.run, job.start)
        job.feed(0, clicks(300, 1))
        delta = job.mark(0)
        assert bool(delta.tables["ctr.zn"].stats) == (rule == "matched" and not alone)
        changes = file_of(job.store, job.cut()).changes
        assert same_changes(changes, delta.tables)
        files += job.prepared[0].body.files
    assert files[0].sha256 == files[1].sha256


def test_a_merger_takes_up_its_own_version_without_reading_it() -> None:
    job = Job(create_store("memory:", SPEC))
    job.epoch({0: clicks(300, 1)})
    job.commit()
    (file,) = job.store.staged("delta")
    job.store.discard("delta", file)
    assert job.merger.cut().files == ()
    assert job.merger._replica is not None
    assert (job.merger._replica.version, job.merger._replica.pending) == (job.store.head(), [])


def started(store: Store, workers: int) -> tuple[Merger, list[WorkerDelta]]:
    job = Job(store, workers)
    for index in range(workers):
        job.feed(index, clicks(200, index))
    deltas = [
        worker.mark(Mark(1, tuple(job.moves[index]))) for index, worker in enumerate(job.workers)
    ]
    merger = Merger(store, job.stream)
    merger.start(job.run, job.start)
    return merger, deltas


def test_the_order_of_arrival_changes_no_byte() -> None:
    answers = set()
    for order in itertools.permutations(range(3)):
        merger, deltas = started(create_store("memory:", SPEC), 3)
        for index in order:
            merger.add(deltas[index])
        answers.add(merger.cut().encode())
    assert len(answers) == 1


def test_two_deltas_of_one_worker_are_composed_by_seq_however_they_arrive() -> None:
    answers = set()
    for order in ((0, 1), (1, 0)):
        job = Job(create_store("memory:", SPEC))
        deltas = []
        for seed in range(2):
            job.feed(0, clicks(100, seed))
            (move,) = join_spans(job.moves[0])
            job.moves[0] = []
            deltas.append(job.workers[0].mark(Mark(1, (move,))))
        for index in order:
            job.merger.add(deltas[index])
        answers.add(job.merger.cut().encode())
    assert len(answers) == 1


def test_a_cut_with_deltas_of_some_workers_only() -> None:
    merger, deltas = started(create_store("memory:", SPEC), 3)
    merger.add(deltas[2])
    (header,) = merger.cut().deltas
    assert (header.worker, header.seq, header.moves) == (2, 1, (Span(2, 0, 200),))
    merger.add(deltas[0])
    assert [header.worker for header in merger.cut().deltas] == [0]
    assert merger.cut().deltas == ()


def test_an_empty_cut_needs_no_start() -> None:
    store = create_store("memory:", SPEC)
    part = Merger(store, "events").cut()
    assert (part.run, part.start, part.deltas, part.files) == ("", 0, (), ())
    prepared = join_shards(store, "events", [part], 1)
    assert (prepared.moves, prepared.body.files, prepared.body.counts.events) == ((), [], 0)


def test_every_start_says_the_same() -> None:
    store = create_store("memory:", SPEC)
    merger = Merger(store, "events")
    merger.start("1" * 32, 0)
    merger.start("1" * 32, 0)
    with pytest.raises(AssertionError, match="then as"):
        merger.start("2" * 32, 0)


def test_a_late_commit_leaves_the_mergers_own_changes_in_its_replica() -> None:
    """Rule `matched` must see every cut before this one, published or not."""
    store = create_store("memory:", SPEC)
    job = Job(store, 2)
    replicas = []
    for seed in range(4):
        prepared = job.epoch({0: clicks(100, seed), 1: clicks(100, seed + 10)})
        replicas.append(prepared.body.files[0].replica)
        job.commit(keep=2)
    assert replicas == [1, 1, 1, 2]
    assert len(job.merger._replica.pending) == 3  # type: ignore[union-attr]
    job.commit()
    local = job.merger._replica.local  # type: ignore[union-attr]
    head = parameters_at(store, make_learners(SPEC), store.head())
    for name, table in head.items():
        assert table.items()[1].tobytes() == local[name].items()[1].tobytes()


def test_a_cut_merges_the_same_whether_the_one_before_is_published_or_pending() -> None:
    """Published + pending has the same bits either way, so only the recorded version differs."""
    late, prompt = (Job(create_store("memory:", SPEC), 2) for _ in range(2))
    cuts = []
    for seed in range(3):
        for index in range(2):
            late.feed(index, clicks(300, seed))  # the same events: every row is a shared one
        cuts.append([late.mark(index) for index in range(2)])
        late.cut()
    pending = list(late.prepared)
    published = []
    for deltas in cuts:
        for delta in deltas:
            prompt.merger.add(delta)
        published.append(prompt.cut())
        prompt.commit()
    for one, two in zip(pending, published, strict=True):
        assert one.body.files[0].sha256 == two.body.files[0].sha256
    assert [each.body.files[0].replica for each in pending] == [1, 1, 1]
    assert [each.body.files[0].replica for each in published] == [1, 2, 3]


def test_published_versions_are_taken_up_between_cuts_only() -> None:
    store = create_store("memory:", SPEC)
    job = Job(store)
    other = open_stream(store, "other")
    first = job.epoch({0: clicks(10)})
    with other.begin() as transaction:
        transaction.learn(clicks(10, 1))
    second = job.epoch({0: clicks(10, 2)})
    assert first.body.files[0].replica == 2
    assert second.body.files[0].replica == 3
    job.commit()
    _, values = open_model(store)._parameters["popularity.counts"].items()
    assert values[:, 0].sum() == 30


def test_moves_that_do_not_join_are_a_gap() -> None:
    merger, deltas = started(create_store("memory:", SPEC), 1)
    merger.add(structs.replace(deltas[0], moves=(Span(0, 0, 100),)))
    merger.add(structs.replace(deltas[0], seq=2, moves=(Span(0, 101, 201),)))
    with pytest.raises(Gap, match="partition 0 moved to 100 and then from 101 to 201"):
        merger.cut()


def test_a_merged_value_that_is_not_finite_is_not_prepared() -> None:
    data = SPEC.to_json().replace(b'"log1p"', b'"none"').replace(b'"matched"', b'"sum"')
    store = create_store("memory:", Spec.from_json(data))
    job = Job(store, 2)
    for index in (0, 1):
        job.feed(index, clicks(1))
        delta = job.workers[index].mark(Mark(None, tuple(job.moves[index])))
        table = delta.tables["ctr.zn"]  # finite in each worker, not in their sum
        large = TableDelta(table.rows, np.full_like(table.values, 2e38), table.stats)
        job.merger.add(structs.replace(delta, tables={**delta.tables, "ctr.zn": large}))
    with pytest.raises(MergeError, match=r"ctr\.zn"):
        job.cut()
    assert store.head() == 1


def test_handed_in_changes_that_overflow_are_refused_and_given_up() -> None:
    store = create_store("memory:", SPEC)
    merger = Merger(store, "events")
    merger.start("1" * 32, 0)
    half = {"ctr.zn": Changes(np.array([3], np.uint32), np.full((1, 2), 2e38, np.float32))}
    merger.prepare(half, Span(0, 0, 1), 5)
    with pytest.raises(MergeError, match=r"row 3 would become \[inf, inf\] .* the changes, if"):
        merger.prepare(half, Span(0, 1, 2), 5)
    merger.forget()
    merger.prepare(half, Span(0, 0, 1), 5)


def test_handed_in_changes_are_checked_before_they_are_staged() -> None:
    store = create_store("memory:", SPEC)
    merger = Merger(store, "events")
    merger.start("1" * 32, 0)
    wrong = {"ctr.zn": Changes(np.array([1 << 12], np.uint32), np.ones((1, 2), np.float32))}
    with pytest.raises(DeltaDamaged, match="row 4096"):
        merger.prepare(wrong, Span(0, 0, 1), 5)


def test_a_committable_goes_on_where_the_stream_stands() -> None:
    store = create_store("memory:", SPEC)
    job = Job(store, 2)
    job.epoch({0: clicks(5), 2: clicks(7)})
    (prepared,) = job.prepared
    entry = read_manifest(store, 1).streams["events"]
    data = committable_from(prepared, entry.positions, "events")
    assert data.startswith(b'{"after":{"0":5,"1":0,"2":7},"before":{"0":0,"1":0},"body":{')
    assert b'"first":{"2":0}' in data
    ahead = structs.replace(entry, positions={"0": 5, "1": 0})
    with pytest.raises(Gap, match="partition 0: the store stands at 5, the epoch goes from 0 to 5"):
        committable_from(prepared, ahead.positions, "events")


def test_the_replica_takes_up_what_readers_read() -> None:
    store = create_store("memory:", SPEC)
    job = Job(store)
    prepared = job.epoch({0: clicks(400)})
    mine = parameters_at(store, make_learners(SPEC), 1)
    apply_changes(mine, [file_of(store, prepared).changes])
    local = job.merger._replica.local  # type: ignore[union-attr]
    assert mine["ctr.zn"].items()[1].tobytes() == local["ctr.zn"].items()[1].tobytes()


def test_what_is_given_up_is_in_no_later_cut() -> None:
    store = create_store("memory:", SPEC)
    job = Job(store, 2)
    job.epoch({0: clicks(50, 1), 1: clicks(50, 2)})
    job.feed(0, clicks(50, 3))
    job.mark(0)
    job.merger.forget()
    replica = job.merger._replica
    assert replica is not None
    assert replica.pending == []
    published = parameters_at(store, make_learners(SPEC), replica.version)
    for name, table in published.items():
        assert table.items()[1].tobytes() == replica.local[name].items()[1].tobytes()
    assert job.merger.cut().deltas == ()
