"""A replica's local state has the bits of a full rebuild, whatever happened to it before."""

from collections.abc import Iterable
from functools import partial

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from strandline.base import add_changes, parameters_at, schemas_of
from strandline.compactor import Compactor
from strandline.delta import ModelChanges
from strandline.errors import StoreDamaged
from strandline.learners.loading import make_learners
from strandline.manifest import Manifest
from strandline.replica import Replica
from strandline.store import MemoryStore, create_store
from strandline.tables import Changes, Parameters
from strandline.transaction import open_stream
from tests.streams import clicks_spec

SPEC = clicks_spec(bits=4)  # 16 slots: changes meet on the same rows


def changes(seed: int) -> ModelChanges:
    rng = np.random.default_rng(seed)
    slots = np.flatnonzero(rng.random(16) < 0.4).astype(np.uint32)
    keys = np.flatnonzero(rng.random(6) < 0.4).astype(np.uint64)
    zn = rng.normal(size=(len(slots), 2), scale=10.0 ** rng.integers(-6, 6)).astype(np.float32)
    counts = rng.integers(1, 100, (len(keys), 2))
    return {"ctr.zn": Changes(slots, zn), "popularity.counts": Changes(keys, counts)}


def bits(parameters: Parameters) -> dict[str, tuple[bytes, bytes]]:
    found = {}
    for name, table in parameters.items():
        rows, values = table.items()
        found[name] = rows.tobytes(), values.tobytes()
    return found


def rebuilt(replica: Replica[int], store: MemoryStore) -> Parameters:
    """The slow way: everything from genesis, then every pending change in order."""
    parameters = parameters_at(store, make_learners(SPEC), replica.version)
    add_changes(parameters, [pending.changes for pending in replica.pending])
    return parameters


def is_third(seed: int, key: int) -> bool:
    return key % 3 == seed % 3


def is_old(seed: int, _: Manifest, key: int) -> bool:
    return key <= seed % 25


STEPS = st.lists(
    st.tuples(
        st.sampled_from(["push", "adopt", "learn_and_push", "learn_and_reset", "drop"]),
        st.integers(0, 10_000),
    ),
    max_size=25,
)


@settings(max_examples=60, deadline=None)
@given(STEPS)
def test_local_has_the_bits_of_a_full_rebuild(steps: Iterable[tuple[str, int]]) -> None:
    store = create_store("memory:", SPEC)
    assert isinstance(store, MemoryStore)
    other = open_stream(store, "other")
    replica: Replica[int] = Replica(store, make_learners(SPEC), other.version)
    for key, (step, seed) in enumerate(steps):
        made = changes(seed)
        if step.startswith("learn"):
            learned = {name: Changes(c.rows, 3 * c.add) for name, c in made.items()}
            add_changes(replica.local, [learned])  # in place, as a learner does
        match step:
            case "push" | "learn_and_push":
                replica.push(key, made)
            case "learn_and_reset":
                replica.reset(made)
            case "drop":
                replica.drop(partial(is_third, seed))
            case "adopt":
                with other.begin() as transaction:
                    transaction.prepare(made)
                replica.catch_up(partial(is_old, seed))
                assert replica.version == store.head()
        assert bits(replica.local) == bits(rebuilt(replica, store))
        assert bits(replica.published) == bits(
            parameters_at(store, make_learners(SPEC), replica.version)
        )


def test_the_order_of_pending_changes_is_part_of_the_bits() -> None:
    """Otherwise the property above would hold for any order and say nothing about it."""
    start, up, down = np.float32(1.0), np.float32(1e8), np.float32(-1e8)
    assert (start + up) + down != start + (up + down)


def test_a_damaged_delta_leaves_the_replica_as_it_was() -> None:
    store = create_store("memory:", SPEC)
    assert isinstance(store, MemoryStore)
    other = open_stream(store, "other")
    replica: Replica[int] = Replica(store, make_learners(SPEC), other.version)
    replica.push(1, changes(1))
    before = bits(replica.local), replica.version
    with other.begin() as transaction:
        transaction.prepare(changes(2))
    (file,) = [key for key in store._files if key[0] == "delta"]
    store._files[file] = store._files[file][:-1] + b"?"
    with pytest.raises(StoreDamaged, match="altered"):
        replica.catch_up(lambda *_: True)
    assert (bits(replica.local), replica.version) == before
    assert [pending.key for pending in replica.pending] == [1]


def test_schemas_name_every_table() -> None:
    assert sorted(schemas_of(make_learners(SPEC))) == ["ctr.zn", "popularity.counts"]


def test_a_replica_behind_what_compaction_kept_opens_head_with_its_pending_changes() -> None:
    store = create_store("memory:", SPEC)
    assert isinstance(store, MemoryStore)
    stream = open_stream(store, "events")
    replica: Replica[int] = Replica(store, make_learners(SPEC), stream.version)
    for key in (1, 2, 3):
        replica.push(key, changes(key))
    for seed in range(5):
        transaction = stream.begin()
        transaction.prepare(changes(10 + seed))
        transaction.commit()
    compactor = Compactor(store, every=2, keep_versions=0)
    compactor.run_once()
    assert compactor.collect().files > 0
    replica.catch_up(lambda manifest, key: manifest.version == 3 and key == 2)
    assert replica.version == store.head() == 6
    assert [own.key for own in replica.pending] == [1, 3]
    assert bits(replica.local) == bits(rebuilt(replica, store))
