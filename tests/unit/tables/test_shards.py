"""Shards: any number of them makes the bits of one, through rescales and aborted checkpoints."""

import json
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from msgspec import structs

from strandline.commit.prepared import Prepared
from strandline.errors import CommitRefused
from strandline.learners.loading import make_learners, schemas_of
from strandline.learning.joining import PreparedShard, join_shards
from strandline.manifest import TrainBody
from strandline.merge import OPERATIONS
from strandline.parameters.base import parameters_at
from strandline.parameters.delta import DeltaFile
from strandline.spec import Spec
from strandline.store import MemoryStore, Store, create_store
from strandline.store.chain import log
from strandline.tables.shards import WHOLE, Shard, shard_of
from strandline.tables.table import Parameters
from strandline.upkeep.compactor import Compactor
from strandline.upkeep.fsck import check_store
from tests.jobs import Job
from tests.plugins import install
from tests.streams import CLICKS, clicks, clicks_spec

SPEC = clicks_spec(bits=10)
EVERY_RULE = """
[learners.added]
type = "ftrl"
bits = 6
merge = "sum"
[learners.averaged]
type = "ftrl"
bits = 6
merge = "mean"
[learners.linear]
type = "sklearn"
bits = 7
batch_events = 50
estimator = {name = "SGDClassifier", learning_rate = "constant", eta0 = 0.05}
[learners.trend]
type = "counts"
feature = "item"
half_life_s = 1
[learners.peak]
type = "peak"
feature = "item"
[learners.level]
type = "ema"
feature = "item"
"""


@pytest.fixture
def every_rule(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> Spec:
    types = {"peak": "tests.peak_learner:PeakSpec", "ema": "strandline_ema:EmaSpec"}
    monkeypatch.syspath_prepend(str(Path("examples/third_party_learner").absolute()))
    install(monkeypatch, tmp_path, "rules", types)
    spec = Spec.parse(CLICKS.replace("bits = 18", "bits = 8") + EVERY_RULE)
    rules = {rule for learner in make_learners(spec).values() for rule in learner.rules.values()}
    assert rules == OPERATIONS.keys()
    return spec


def learn(job: Job, epochs: Sequence[int]) -> None:
    """Epochs of these seeds over the job's workers, every commit one epoch late."""
    for seed in epochs:
        records = [*clicks(210, seed), b"no event"]
        job.epoch({p: records[p :: len(job.workers)] for p in range(len(job.workers))})
        job.commit(keep=1)
    job.commit()


def bits(parameters: Parameters) -> dict[str, tuple[bytes, bytes]]:
    items = {name: table.items() for name, table in parameters.items()}
    return {name: (rows.tobytes(), values.tobytes()) for name, (rows, values) in items.items()}


def at_head(store: Store, shard: Shard = WHOLE) -> Parameters:
    return parameters_at(store, make_learners(store_spec(store)), store.head(), shard)


def store_spec(store: Store) -> Spec:
    return Spec.from_json(store.read("spec", next(log(store)).spec))


def trained(store: Store) -> list[TrainBody]:
    bodies = [manifest.body for manifest in log(store, newest_first=False)]
    return [body for body in bodies if isinstance(body, TrainBody)]


def rows_of(store: Store, body: TrainBody) -> dict[str, list[tuple[int, bytes]]]:
    """Every changed row of a version by table, from all its files, with the bytes of its change."""
    schemas = schemas_of(make_learners(store_spec(store)))
    found: dict[str, list[tuple[int, bytes]]] = {}
    for entry in body.files:
        file = DeltaFile.decode(store.read("delta", entry.ref), schemas)
        assert file.shard == (entry.shard, entry.shards)
        for name, change in file.changes.items():
            assert len(change.rows) == entry.rows[name]
            rows = zip(change.rows.tolist(), map(bytes, change.values), strict=True)
            found.setdefault(name, []).extend(rows)
    return {name: sorted(rows) for name, rows in found.items()}


@pytest.mark.parametrize("shards", [2, 3])
def test_any_number_of_shards_makes_the_bits_of_one(every_rule: Spec, shards: int) -> None:
    one, several = (create_store("memory:", every_rule) for _ in range(2))
    learn(Job(one, 3), range(4))
    learn(Job(several, 3, shards=shards), range(4))
    pairs = list(zip(trained(one), trained(several), strict=True))
    assert len(pairs) == 4
    for expected, found in pairs:
        assert rows_of(several, found) == rows_of(one, expected)
        assert [file.shard for file in found.files] == list(range(shards))
        assert {file.shards for file in found.files} == {shards}
        assert [file.seqs for file in found.files] == [expected.files[0].seqs] * shards
        # Also how workers predicted, after they had taken up what the shards had made.
        assert structs.replace(found, files=[]) == structs.replace(expected, files=[])
    assert bits(at_head(several)) == bits(at_head(one))
    assert check_store(several).damages == []


def test_rescales_of_workers_and_shards_between_starts(every_rule: Spec) -> None:
    """Each start reads a base or deltas of another number of shards."""
    one, several = (create_store("memory:", every_rule) for _ in range(2))
    for start, (workers, shards) in enumerate([(2, 1), (1, 3), (3, 2), (2, 4)]):
        for store, split in ((one, 1), (several, shards)):
            learn(Job(store, workers, run=1 + start, shards=split), [2 * start, 2 * start + 1])
        if start == 1:
            Compactor(several, every=1).run_once()
    assert bits(at_head(several)) == bits(at_head(one))
    heads = [next(log(store)).streams["events"] for store in (one, several)]
    assert heads[0].seqs == heads[1].seqs == {"0": 8, "1": 6, "2": 2}
    assert check_store(several).damages == []


def test_a_mergers_replica_holds_its_share(every_rule: Spec) -> None:
    """Rows and memory: those of the shards together are those of the whole."""
    store = create_store("memory:", every_rule)
    job = Job(store, 2, shards=3)
    learn(job, range(3))
    whole = at_head(store)
    for merger in job.mergers:
        merger.cut()  # takes up what was committed
    replicas = [merger._replica for merger in job.mergers]
    for name, table in whole.items():
        rows, values = table.items()
        places = []
        for number, replica in enumerate(replicas):
            assert replica is not None
            mine, mine_values = replica.local[name].items()
            at = np.searchsorted(rows, mine)
            assert (shard_of(mine, 3) == number).all()
            assert values[at].tobytes() == mine_values.tobytes()
            places.append(at)
        assert sorted(np.concatenate(places).tolist()) == list(range(len(rows)))
    dense: list[Any] = [replica.local["ctr.zn"] for replica in replicas if replica is not None]
    in_one_piece: Any = whole["ctr.zn"]
    parts_bytes = sum(table._inner.values.nbytes for table in dense)
    assert parts_bytes == in_one_piece.values.nbytes


def test_a_merger_reads_no_file_of_another_shard() -> None:
    store = create_store("memory:", SPEC)
    job = Job(store, shards=2)
    assert isinstance(store, MemoryStore)
    prepared = job.epoch({0: clicks(100)})
    job.commit()
    store.discard("delta", prepared.body.files[1].sha256)
    job.mergers[0].cut()
    replica = job.mergers[0]._replica
    assert replica is not None
    assert replica.version == store.head()


def aborted(shards_that_cut: Sequence[int]) -> tuple[Job, Prepared]:
    """A checkpoint that is aborted when some shards have passed its barrier, then another one."""
    job = Job(create_store("memory:", SPEC), 2, shards=2)
    for records in ([*clicks(100, 1), b"{"], [*clicks(100, 2), b"}"]):
        for worker in (0, 1):
            job.feed(worker, records[worker::2])
            job.mark(worker)
        if not job.parts:
            for shard in shards_that_cut:
                job.cut_shard(shard)
    return job, job.cut()


@pytest.mark.parametrize("shards_that_cut", [[0], [1], [0, 1]])
def test_an_aborted_checkpoint_gives_one_shard_two_cuts_and_the_other_one(
    shards_that_cut: list[int],
) -> None:
    job, prepared = aborted(shards_that_cut)
    body = prepared.body
    assert [file.shard for file in body.files] == sorted([*shards_that_cut, 0, 1])
    firsts = {file.shard: file.seqs for file in reversed(body.files)}
    for shard in (0, 1):
        assert firsts[shard] == dict.fromkeys("01", 1 if shard in shards_that_cut else 2)
    assert (prepared.seqs, body.counts.events, body.counts.rejected) == ({"0": 2, "1": 2}, 202, 2)
    assert [(delta.worker, delta.seq) for delta in body.deltas] == [(0, 1), (0, 2), (1, 1), (1, 2)]
    job.commit()
    _, counts = at_head(job.store)["popularity.counts"].items()
    assert counts[:, 0].sum() == 200
    assert body.rejects.file is not None
    lines = job.store.read("rejects", body.rejects.file).splitlines()
    assert sorted(json.loads(line)["offset"] for line in lines) == [50, 101]
    assert check_store(job.store).damages == []
    learn(job, [3])
    for shard, merger in enumerate(job.mergers):
        merger.cut()
        assert merger._replica is not None
        assert bits(merger._replica.local) == bits(at_head(job.store, Shard(shard, 2)))


def test_a_delta_that_is_refused_is_refused_in_all_shards(monkeypatch: pytest.MonkeyPatch) -> None:
    store = create_store("memory:", Spec.parse(CLICKS.replace("bits = 18", "bits = 10")))
    job = Job(store, 2, shards=2)
    with monkeypatch.context() as bounded:
        bounded.setattr("strandline.learning.attempt.DELTA_BYTES_MAX", 10)
        bounded.setattr("strandline.learning.epoch.RELEARN_BYTES_MAX", 10)
        job.feed(0, clicks(1))
        refused = job.mark(0)
    job.feed(1, clicks(20, 2))
    learned = job.mark(1)
    assert refused.refused is not None
    assert learned.refused is None
    body = job.cut().body
    assert (body.counts.refused, body.counts.learned) == (1, 20)
    job.commit()
    job.epoch({0: clicks(30, 3)})
    job.commit()
    _, counts = at_head(store)["popularity.counts"].items()
    assert counts[:, 0].sum() == 50
    assert check_store(store).damages == []


def parts_of(job: Job) -> list[PreparedShard]:
    for worker in (0, 1):
        job.feed(worker, clicks(20, worker))
        job.mark(worker)
    return [merger.cut() for merger in job.mergers]


def without_a_delta(part: PreparedShard) -> PreparedShard:
    return structs.replace(part, deltas=part.deltas[:1])


def with_other_moves(part: PreparedShard) -> PreparedShard:
    first, second = part.deltas
    (move,) = second.moves
    moves = (move._replace(end=move.end + 1),)
    return structs.replace(part, deltas=(first, structs.replace(second, moves=moves)))


@pytest.mark.parametrize(
    "altered",
    [
        without_a_delta,
        with_other_moves,
        lambda part: structs.replace(part, start=7),
        lambda part: structs.replace(part, run="f" * 32),
        lambda part: structs.replace(part, shard=Shard(2, 3)),
        lambda part: structs.replace(part, shard=Shard(0, 2)),
    ],
)
def test_shards_that_do_not_hold_the_same_are_no_epoch(altered: object) -> None:
    store = create_store("memory:", SPEC)
    one, other = parts_of(Job(store, 2, shards=2))
    assert callable(altered)
    with pytest.raises(CommitRefused, match="the shards of one epoch do not hold the same: shard"):
        join_shards(store, "events", [altered(other), one], 1)
    with pytest.raises(CommitRefused, match="do not hold the same"):
        join_shards(store, "events", [one], 1)


def test_a_version_that_names_another_shard_than_its_file_is_damaged() -> None:
    store = create_store("memory:", SPEC)
    job = Job(store, shards=2)
    job.epoch({0: clicks(50)})
    (prepared,) = job.prepared
    zero, one = prepared.body.files
    swapped = [structs.replace(one, shard=0), structs.replace(zero, shard=1)]
    body = structs.replace(prepared.body, files=swapped)
    job.prepared = [structs.replace(prepared, body=body)]
    job.commit()
    assert {damage.problem for damage in check_store(store).damages} == {
        "says shard 0 of 2, the version another one",
        "says shard 1 of 2, the version another one",
    }


@given(
    one=st.integers(1, 12).flatmap(lambda of: st.tuples(st.integers(0, of - 1), st.just(of))),
    two=st.integers(1, 12).flatmap(lambda of: st.tuples(st.integers(0, of - 1), st.just(of))),
)
def test_shards_meet_where_a_row_is_of_both(one: tuple[int, int], two: tuple[int, int]) -> None:
    rows = np.arange(12 * 11, dtype=np.uint64)
    both = Shard(*one).holds(rows) & Shard(*two).holds(rows)
    assert Shard(*one).meets(Shard(*two)) == both.any()


def test_every_part_of_a_split_delta_tells_the_whole_account() -> None:
    job = Job(create_store("memory:", SPEC))
    job.feed(0, [*clicks(100), b"{"])
    whole = job.mark(0)
    parts = whole.split(3)
    assert [part.header for part in parts] == [whole.header] * 3
    assert [part.rejects for part in parts] == [whole.rejects, b"", b""]
    for name, table in whole.tables.items():
        split = [part.tables[name] for part in parts]
        order = np.argsort(np.concatenate([each.rows for each in split]))
        assert (
            np.concatenate([each.rows for each in split])[order].tobytes() == table.rows.tobytes()
        )
        values = np.concatenate([each.values for each in split])[order]
        assert values.tobytes() == table.values.tobytes()
        for stat, expected in table.stats.items():
            found = np.concatenate([each.stats[stat] for each in split])[order]
            assert found.tobytes() == expected.tobytes()
