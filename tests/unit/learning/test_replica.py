"""A replica's local state has the bits of a full rebuild, whatever happened to it before."""

from collections.abc import Collection, Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from functools import partial

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from strandline.errors import StoreDamaged
from strandline.learners import Learner
from strandline.learners.loading import make_learners, not_remembered, schemas_of
from strandline.learning.replica import Replica
from strandline.manifest import Manifest
from strandline.parameters.base import parameters_at
from strandline.parameters.delta import ModelChanges
from strandline.spec import Spec
from strandline.store import MemoryStore, create_store
from strandline.tables.changes import Changes, TableDelta
from strandline.tables.table import Parameters, apply_changes
from strandline.transactions.transaction import Stream, open_stream
from strandline.upkeep.compactor import Compactor
from tests.peak_learner import Peak
from tests.streams import CLICKS, clicks

TREND = '[learners.trend]\ntype = "counts"\nfeature = "item"\nhalf_life_s = 60'
SPEC = Spec.parse(CLICKS.replace("bits = 18", "bits = 4") + TREND)
"""16 slots and 6 keys: changes meet on the same rows."""


def learners() -> dict[str, Learner]:
    """Those of the spec, and a table of the one operation that they have not: `max`."""
    return make_learners(SPEC) | {"peak": Peak("peak", 0)}


def changes(seed: int) -> ModelChanges:
    rng = np.random.default_rng(seed)
    slots = np.flatnonzero(rng.random(16) < 0.4).astype(np.uint32)
    keys = np.flatnonzero(rng.random(6) < 0.4).astype(np.uint64)
    zn = rng.normal(size=(len(slots), 2), scale=10.0 ** rng.integers(-6, 6)).astype(np.float32)
    counts = rng.integers(1, 100, (len(keys), 2))
    faded = rng.normal(size=(len(keys), 3))
    made = {
        "ctr.zn": Changes(slots, zn),
        "popularity.counts": Changes(keys, counts),
        "trend.counts": Changes(keys, faded),
    }
    peak = {"peak.labels": Changes(keys, rng.normal(size=(len(keys), 1)))}
    return made | peak if seed % 2 else made  # the store's spec has no such table


def bits(parameters: Parameters) -> dict[str, tuple[bytes, bytes]]:
    found = {}
    for name, table in parameters.items():
        rows, values = table.items()
        found[name] = rows.tobytes(), values.tobytes()
    return found


def rebuilt(replica: Replica[int], store: MemoryStore) -> Parameters:
    """The slow way: everything from genesis, then every pending change in order."""
    parameters = parameters_at(store, learners(), replica.version)
    apply_changes(parameters, [pending.changes for pending in replica.pending])
    return parameters


def is_third(seed: int, key: int) -> bool:
    return key % 3 == seed % 3


def is_old(seed: int, _: Manifest, key: int) -> bool:
    return key <= seed % 25


def is_this(own: int, later: bool, _: Manifest, key: int) -> bool:
    return key == own or (later and key > own)


def are(keys: Sequence[int], _: Manifest) -> Sequence[int]:
    return keys


NONE = partial(are, ())
"""Held by no file as they are: what a replica is told that has to read."""


def publish(stream: Stream, made: Mapping[str, Changes]) -> None:
    """Commit changes as a version; the tables of the spec only."""
    with stream.begin() as transaction:
        transaction.prepare({name: made[name] for name in schemas_of(make_learners(SPEC))})


@contextmanager
def unreadable(store: MemoryStore, really: bool) -> Iterator[None]:
    """A store whose deltas cannot be read for a while."""
    files = store._files.copy()
    if really:
        store._files = {key: data for key, data in files.items() if key[0] != "delta"}
    yield
    store._files = files


STEPS = st.lists(
    st.tuples(
        st.sampled_from(
            [
                "push",
                "adopt",
                "adopt_own",
                "adopt_verbatim",
                "learn_and_push",
                "learn_and_reset",
                "drop",
            ]
        ),
        st.integers(0, 10_000),
    ),
    max_size=25,
)


def learn(replica: Replica[int], made: ModelChanges, copied: Collection[str]) -> ModelChanges:
    """Change rows in place, as a learner does, by more than is told if it does not remember."""
    told: ModelChanges = {}
    for name, change in made.items():
        if name in copied:
            told[name], done = change, Changes(change.rows, 3 * change.values)
        else:
            before = replica.local[name].gather(change.rows)
            told[name] = done = TableDelta(change.rows, change.values, {}, before)
        apply_changes(replica.local, [{name: done}])
    return told


@pytest.mark.parametrize(
    "copied",
    [not_remembered(learners()), schemas_of(learners()), ()],
    ids=["worker", "all", "none"],
)
@settings(max_examples=60, deadline=None)
@given(STEPS)
def test_local_has_the_bits_of_a_full_rebuild(
    copied: Collection[str], steps: Iterable[tuple[str, int]]
) -> None:
    store = create_store("memory:", SPEC)
    assert isinstance(store, MemoryStore)
    other = open_stream(store, "other")
    replica: Replica[int] = Replica(store, learners(), other.version, copied=copied)
    for key, (step, seed) in enumerate(steps):
        made = changes(seed)
        if step.startswith("learn"):
            made = learn(replica, made, copied)
        match step:
            case "push" | "learn_and_push":
                replica.push(key, made)
            case "learn_and_reset":
                replica.reset(made)
            case "drop":
                replica.drop(partial(is_third, seed))
            case "adopt":
                publish(other, made)
                replica.catch_up(partial(is_old, seed), NONE)
                assert replica.version == store.head()
            case "adopt_own" if replica.pending:
                own = replica.pending[seed % 2 * seed % len(replica.pending)]  # often the oldest
                publish(other, own.changes)
                replica.catch_up(partial(is_this, own.key, seed % 3 == 0), NONE)
                assert own not in replica.pending
            case "adopt_verbatim" if replica.pending:
                own = replica.pending[seed % 2 * seed % len(replica.pending)]
                publish(other, own.changes)
                verbatim = [] if "peak.labels" in own.changes else [own.key]  # published without it
                later = seed % 3 == 0
                with unreadable(store, verbatim == [replica.pending[0].key] and not later):
                    replica.catch_up(partial(is_this, own.key, later), partial(are, verbatim))
                assert own not in replica.pending
        assert bits(replica.local) == bits(rebuilt(replica, store)), step
    replica.drop(lambda key: True)
    assert bits(replica.local) == bits(parameters_at(store, learners(), replica.version))


def test_the_order_of_pending_changes_is_part_of_the_bits() -> None:
    """Otherwise the property above would hold for any order and say nothing about it."""
    start, up, down = np.float32(1.0), np.float32(1e8), np.float32(-1e8)
    assert (start + up) + down != start + (up + down)


def test_a_damaged_delta_leaves_the_replica_as_it_was() -> None:
    store = create_store("memory:", SPEC)
    assert isinstance(store, MemoryStore)
    other = open_stream(store, "other")
    replica: Replica[int] = Replica(store, learners(), other.version)
    replica.push(1, changes(1))
    before = bits(replica.local), replica.version
    with other.begin() as transaction:
        transaction.prepare({"ctr.zn": changes(2)["ctr.zn"]})
    (file,) = [key for key in store._files if key[0] == "delta"]
    store._files[file] = store._files[file][:-1] + b"?"
    with pytest.raises(StoreDamaged, match="altered"):
        replica.catch_up(lambda *_: True, NONE)
    assert (bits(replica.local), replica.version) == before
    assert [pending.key for pending in replica.pending] == [1]


def test_a_manifest_under_another_number_is_never_adopted() -> None:
    store = create_store("memory:", SPEC)
    assert isinstance(store, MemoryStore)
    open_stream(store, "events")
    replica: Replica[int] = Replica(store, make_learners(SPEC), 1)
    store._versions[2] = store._versions[1]
    with pytest.raises(StoreDamaged, match="version 2 holds the manifest of version 1"):
        replica.catch_up(lambda manifest, key: False, NONE)
    assert replica.version == 1


def test_schemas_name_every_table() -> None:
    assert sorted(schemas_of(make_learners(SPEC))) == [
        "ctr.zn",
        "popularity.counts",
        "trend.counts",
    ]


def test_a_replica_behind_what_compaction_kept_opens_head_with_its_pending_changes() -> None:
    def of_the_spec(seed: int) -> ModelChanges:
        return {name: each for name, each in changes(seed).items() if name in known}

    known = schemas_of(make_learners(SPEC))
    store = create_store("memory:", SPEC)
    assert isinstance(store, MemoryStore)
    stream = open_stream(store, "events")
    replica: Replica[int] = Replica(store, make_learners(SPEC), stream.version)
    for key in (1, 2, 3):
        replica.push(key, of_the_spec(key))
    for seed in range(5):
        transaction = stream.begin()
        transaction.prepare(of_the_spec(10 + seed))
        transaction.commit()
    compactor = Compactor(store, every=2, keep_versions=0)
    compactor.run_once()
    assert compactor.collect().files > 0
    replica.catch_up(lambda manifest, key: manifest.version == 3 and key == 2, NONE)
    assert replica.version == store.head() == 6
    assert [own.key for own in replica.pending] == [1, 3]
    expected = parameters_at(store, make_learners(SPEC), 6)
    apply_changes(expected, [own.changes for own in replica.pending])
    assert bits(replica.local) == bits(expected)


def test_a_replica_that_starts_behind_what_compaction_kept_stands_on_head() -> None:
    """A job fails over to its open while other streams commit, and a compactor follows them."""
    store = create_store("memory:", SPEC)
    stream = open_stream(store, "events")
    opened = stream.version
    for seed in range(4):
        with stream.begin() as transaction:
            transaction.learn(clicks(20, seed))
    compactor = Compactor(store, every=store.head(), keep_versions=0)
    compactor.run_once()
    assert compactor.collect().files > 0
    replica: Replica[int] = Replica(store, make_learners(SPEC), opened + 1)
    assert (replica.version, replica.pending) == (store.head(), [])
    assert bits(replica.local) == bits(parameters_at(store, make_learners(SPEC), store.head()))
