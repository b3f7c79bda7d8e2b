"""What a run makes of the failures that Flink tells of its job."""

from pathlib import Path

import pytest

from strandline.errors import StoreUnavailable, StrandlineError, TooManyRejected
from strandline.metrics.totals import Totals
from strandline.store import MemoryStore
from strandline_flink.launch.progress import Progress
from strandline_flink.launch.restarts import IDENTICAL_MAX, Restarts

LOGS = Path("/runs/1/log")
FULL = "STRANDLINE[store_unavailable] /models/deltas/{}: the file system is full\n\tat strandline"
TRACE = "RuntimeException: outer\n\tat x\nCaused by: ImportError: no {} at 0x{}\n\tat y"


@pytest.fixture
def progress() -> Progress:
    return Progress(MemoryStore(), "events", "a" * 32)


@pytest.fixture
def restarts(progress: Progress) -> Restarts:
    return Restarts(LOGS.parent, LOGS, progress)


def test_each_restart_is_told_with_its_cause(restarts: Restarts, progress: Progress) -> None:
    restarts.take([(1000, TRACE.format("select", "7f01ab")), (2000, TRACE.format("zlib", "1"))])
    assert [restart.words for restart in restarts.news()] == [
        "the job failed and restarts: ImportError: no select at 0x7f01ab",
        "the job failed and restarts: ImportError: no zlib at 0x1",
    ]
    assert restarts.news() == []
    assert progress.restarts == 2


def test_failures_that_are_alike_end_the_run(restarts: Restarts) -> None:
    """Numbers and addresses in them may differ."""
    for number in range(IDENTICAL_MAX):
        restarts.check()
        restarts.take([(1000 + number, TRACE.format("select", f"{number:08x}"))])
    (told,) = restarts.news()
    assert told.words.startswith(
        "the job failed and restarts, 4 times in the same way: ImportError"
    )
    with pytest.raises(StrandlineError) as raised:
        restarts.check()
    assert raised.value.exit_code == 1
    assert str(raised.value) == (
        "the job failed 4 times in the same way, and made no version in between: ImportError: no "
        f"select at 0x00000003\nThe whole story is in {LOGS}"
    )


def test_failures_of_a_known_kind_end_the_run_with_its_exit_code(restarts: Restarts) -> None:
    trace = "STRANDLINE[too_many_rejected] 7 of 9 events\n\tat x"
    restarts.take([(number, trace) for number in range(IDENTICAL_MAX)])
    with pytest.raises(TooManyRejected, match=r"4 times in the same way.*7 of 9 events"):
        restarts.check()


def test_versions_in_between_show_that_a_restart_helps(
    restarts: Restarts, progress: Progress
) -> None:
    for number in range(3 * IDENTICAL_MAX):
        progress.total = Totals(versions=number // (IDENTICAL_MAX - 1))
        restarts.take([(1000 + number, TRACE.format("select", "0"))])
    restarts.check()


def test_a_store_that_is_away_is_waited_for(restarts: Restarts) -> None:
    assert StoreUnavailable.code in FULL
    restarts.take([(1000 + number, FULL.format(number)) for number in range(5 * IDENTICAL_MAX)])
    restarts.check()
