"""Schedules of jobs, failures and losses of power break no promise, and reach every fault."""

from collections import Counter

from strandline.manifest import genesis
from strandline.store import manifest_bytes
from strandline.upkeep.compactor import Compactor
from tests.simulation.disk import FATES, Disk
from tests.simulation.job import SPEC, STREAMS, Job
from tests.simulation.pipeline import PIPELINE
from tests.simulation.schedules import play, schedule, shortened

SCHEDULES = 1000
PIPELINE_SCHEDULES = 100
REACHED = (
    *(fate.value for fate in FATES), "checkpoint aborted", "compactor failed", "failover",
    "files collected", "job died", "late calls", "names lost with the power", "power lost",
    "restored from a savepoint", "rival", "superseded",
)  # fmt: skip


def test_no_schedule_breaks_a_promise() -> None:
    counts: Counter[str] = Counter()
    for seed in range(SCHEDULES):
        played = play(schedule(seed))
        assert played.broken is None, f"make simulate ARGS='--seed {seed} --schedules 1'"
        counts += played.counts
    assert {what: counts[what] for what in REACHED if counts[what] < 3} == {}


def test_no_schedule_of_workers_and_mergers_breaks_a_promise() -> None:
    for seed in range(PIPELINE_SCHEDULES):
        played = play(schedule(seed), PIPELINE)
        words = f"make simulate ARGS='--pipeline --seed {seed} --schedules 1'"
        assert played.broken is None, words


def test_a_base_does_not_outlast_a_version_whose_writer_died() -> None:
    made = Disk()
    made.stage("spec", SPEC.to_json())
    made.append(0, genesis(SPEC.sha256))
    job = Job(made, "one", "a" * 32, 1, STREAMS["one"])
    job.begin(made)
    job.consume(0, 5)
    job.barrier(1)
    job.complete()
    job.notify()
    disk = Disk()
    for kind in ("spec", "delta"):
        for sha256 in made.staged(kind):
            disk.stage(kind, made.read(kind, sha256))
    for version in (0, 1):
        disk.append(version, manifest_bytes(made, version))
    disk.show_version(2, manifest_bytes(made, 2))
    assert Compactor(disk, every=2).run_once() == 2
    disk.lose_power()
    assert disk.bases() == [2]
    assert disk.manifest(2) == made.manifest(2)


def test_a_seed_makes_the_same_schedule_and_the_same_course() -> None:
    for seed in range(20):
        assert schedule(seed) == schedule(seed)
        assert play(schedule(seed)) == play(schedule(seed))


def test_part_of_a_schedule_is_a_schedule() -> None:
    steps = schedule(3)
    for begin in range(0, len(steps), 7):
        assert play(steps[:begin] + steps[begin + 7 :]).broken is None
    assert shortened([]) == []
