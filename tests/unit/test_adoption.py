"""What a worker holds is what the store says, plus what is pending, however it came to be."""

from collections.abc import Iterable

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from strandline.base import parameters_at
from strandline.errors import FileMissing
from strandline.learners.loading import make_learners
from strandline.spec import Spec
from strandline.store import MemoryStore, create_store
from strandline.tables import Parameters, apply_changes
from strandline.transaction import open_stream
from strandline.worker import Worker
from tests.jobs import Job
from tests.streams import CLICKS, clicks

SMALL = CLICKS.replace("bits = 18", "bits = 6").replace('"log1p"', '"none"')
TREND = '[learners.trend]\ntype = "counts"\nfeature = "item"\nhalf_life_s = 60\n'
SPECS = {
    "as it is": Spec.parse(SMALL),
    "decaying": Spec.parse(SMALL + TREND),
    "mean": Spec.parse(SMALL.replace('type = "ftrl"', 'type = "ftrl"\nmerge = "mean"')),
}
HUGE = b'{"click": 1, "item": "a", "user": 1, "price": 1e30}'


def bits(parameters: Parameters) -> dict[str, list[bytes]]:
    return {name: [a.tobytes() for a in table.items()] for name, table in parameters.items()}


def assert_as_the_store_says(worker: Worker, spec: Spec) -> None:
    """The slow way: fold the store from genesis, then every pending change in order."""
    parameters = parameters_at(worker._store, make_learners(spec), worker.version)
    apply_changes(parameters, [own.changes for own in worker._state.pending])
    assert bits(worker._state.local) == bits(parameters)


STEPS = st.lists(
    st.tuples(
        st.sampled_from(["learn", "learn", "other", "refused", "rejected", "cut", "commit"]),
        st.integers(0, 99),
    ),
    min_size=5,
    max_size=30,
)


@pytest.mark.parametrize("spec", SPECS.values(), ids=SPECS)
@pytest.mark.parametrize(("workers", "shards"), [(1, 1), (1, 2), (2, 1)])
@settings(max_examples=40, deadline=None)
@given(STEPS)
def test_a_worker_holds_what_the_store_says_and_what_is_pending(
    spec: Spec, workers: int, shards: int, steps: Iterable[tuple[str, int]]
) -> None:
    """Deltas wait for a cut together, cuts for a commit; other streams commit in between."""
    job = Job(create_store("memory:", spec), workers, shards=shards)
    other = None if "trend" in spec.learners else open_stream(job.store, "other")
    for step, seed in steps:
        index = seed % workers
        match step:
            case "learn":
                job.feed(index, clicks(1 + seed % 7, seed))
            case "refused":
                job.feed(index, [HUGE])
            case "rejected":
                job.feed(index, [b"no json"])
            case "other" if other is not None:
                with other.begin() as transaction:
                    transaction.learn(clicks(3, seed))
            case "cut":
                job.cut()
            case "commit":
                job.commit(keep=seed % 2)
        if step in {"learn", "refused", "rejected"}:
            job.mark(index)
        for worker in job.workers:
            worker._adopt_after_mark()
            assert_as_the_store_says(worker, spec)


@pytest.mark.parametrize("workers", [1, 2])
def test_a_version_that_is_the_workers_own_delta_is_adopted_unread(workers: int) -> None:
    job = Job(create_store("memory:", SPECS["as it is"]), workers)
    assert isinstance(job.store, MemoryStore)
    for seed in range(3):
        job.epoch({0: clicks(50, seed)})  # a second worker learns nothing
        job.commit()
        kept = job.store._files.copy()
        job.store._files.clear()
        job.workers[0]._adopt_after_mark()
        job.store._files = kept
        assert job.workers[0].version == job.store.head()
        assert job.workers[0]._state.pending == []
        assert_as_the_store_says(job.workers[0], SPECS["as it is"])


def test_deltas_that_were_merged_into_one_file_are_read() -> None:
    job = Job(create_store("memory:", SPECS["as it is"]))
    assert isinstance(job.store, MemoryStore)
    for seed in range(2):
        job.feed(0, clicks(50, seed))
        job.mark(0)
    job.cut()
    job.commit()
    kept = job.store._files.copy()
    job.store._files.clear()
    with pytest.raises(FileMissing):
        job.workers[0]._adopt_after_mark()
    job.store._files = kept
    job.mark(0)
    job.workers[0]._adopt_after_mark()
    assert job.workers[0].version == job.store.head()
