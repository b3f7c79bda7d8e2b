"""Schedules of jobs, failures and losses of power break no promise, and reach every fault."""

from collections import Counter

from tests.simulation.disk import FATES
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


def test_a_seed_makes_the_same_schedule_and_the_same_course() -> None:
    for seed in range(20):
        assert schedule(seed) == schedule(seed)
        assert play(schedule(seed)) == play(schedule(seed))


def test_part_of_a_schedule_is_a_schedule() -> None:
    steps = schedule(3)
    for begin in range(0, len(steps), 7):
        assert play(steps[:begin] + steps[begin + 7 :]).broken is None
    assert shortened([]) == []
