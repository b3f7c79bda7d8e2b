"""What a worker holds is what the store says, plus what is pending, however it came to be."""

from collections.abc import Callable, Mapping
from random import Random

import pytest

from strandline.errors import FileMissing
from strandline.learners.loading import make_learners
from strandline.learning.worker import Worker
from strandline.parameters.base import parameters_at
from strandline.spec import Spec
from strandline.store import MemoryStore, create_store, read_manifest
from strandline.tables.table import Parameters, apply_changes
from strandline.transactions.transaction import open_stream
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


FEEDS: Mapping[str, Callable[[int], list[bytes]]] = {
    "learn": lambda seed: clicks(1 + seed % 7, seed),
    "refused": lambda _: [HUGE],
    "rejected": lambda _: [b"no json"],
}
WEIGHTS = {"learn": 4, "refused": 1, "rejected": 1, "other": 1, "cut": 4, "commit": 4}
STEPS, HISTORIES = 30, 20


def bits(parameters: Parameters) -> dict[str, list[bytes]]:
    return {name: [a.tobytes() for a in table.items()] for name, table in parameters.items()}


def assert_as_the_store_says(worker: Worker, spec: Spec) -> None:
    """The slow way: fold the store from genesis, then every pending change in order."""
    parameters = parameters_at(worker._store, make_learners(spec), worker.version)
    apply_changes(parameters, [own.changes for own in worker._state.pending])
    assert bits(worker._state.local) == bits(parameters)


def history(spec: Spec, workers: int, shards: int, rng: Random) -> int:
    """Check every worker after every step; return how many versions were adopted unread."""
    job = Job(create_store("memory:", spec), workers, shards=shards)
    other = None if "trend" in spec.learners else open_stream(job.store, "other")
    unread = 0
    for _ in range(STEPS):
        index = rng.randrange(workers)
        step = rng.choices(list(WEIGHTS), list(WEIGHTS.values()))[0]
        if step in FEEDS:
            job.feed(index, FEEDS[step](rng.randrange(99)))
            job.mark(index)
        elif step == "other" and other is not None:
            with other.begin() as transaction:
                transaction.learn(clicks(3, rng.randrange(99)))
        elif step == "cut":
            job.cut()
        elif step == "commit":
            job.commit(keep=rng.choice([0, 0, 1]))
        for worker in job.workers:
            stood = worker.version
            worker._adopt_after_mark()
            assert_as_the_store_says(worker, spec)
            adopted = range(stood + 1, worker.version + 1)
            unread += sum(bool(worker._verbatim(read_manifest(job.store, at))) for at in adopted)
    return unread


@pytest.mark.parametrize("spec", SPECS)
@pytest.mark.parametrize(("workers", "shards"), [(1, 1), (1, 2), (2, 1)])
def test_a_worker_holds_what_the_store_says_and_what_is_pending(
    spec: str, workers: int, shards: int
) -> None:
    """Deltas wait for a cut together, cuts for a commit; other streams commit in between."""
    rngs = map(Random, range(HISTORIES))
    unread = sum(history(SPECS[spec], workers, shards, rng) for rng in rngs)
    assert (unread > 0) == (spec == "as it is" and shards == 1)


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


def test_another_workers_delta_of_the_same_number_is_read() -> None:
    """The only file names seq 1 of both workers; this one's held nothing that could be decoded."""
    spec = SPECS["as it is"]
    job = Job(create_store("memory:", spec), workers=2)
    job.epoch({0: [b"no json"], 1: clicks(5)})
    job.commit()
    for worker in job.workers:
        worker._adopt_after_mark()
        assert worker._state.pending == []
        assert_as_the_store_says(worker, spec)
