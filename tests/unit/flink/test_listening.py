"""What a run says of brokers that do not answer."""

from collections import deque

import pytest

from strandline.store import MemoryStore
from strandline_flink.job.kafka_settings import KafkaSettings
from strandline_flink.launch import preflight
from strandline_flink.launch.listening import (
    ANSWERS_OF_AN_OPEN_TRANSACTION,
    Answers,
    ask,
    behind_transactions,
)
from strandline_flink.launch.preflight import Ends, Topic
from strandline_flink.launch.progress import Progress
from strandline_flink.launch.troubles import Kind

NOBODY = Topic("127.0.0.1:1", "clicks", KafkaSettings())


def test_version_of_events_read_before_ends_no_silence(monkeypatch: pytest.MonkeyPatch) -> None:
    """Checkpoints further apart than a run has patience: the next one comes amid the silence."""
    monkeypatch.setattr(preflight, "BROKER_TIMEOUT_MS", 200)
    progress = Progress(MemoryStore(), "events", "a" * 32)
    ask(NOBODY, progress, deque())
    first = progress.heard[Kind.BROKER]
    assert "no Kafka broker answers at 127.0.0.1:1" in first.reason
    ask(NOBODY, progress, deque())
    assert progress.heard == {Kind.BROKER: first}, "it keeps its beginning"


@pytest.mark.parametrize(
    ("position", "before", "now", "waits"),
    [
        (40, Ends(40, 60), Ends(40, 70), True),
        (40, Ends(40, 60), Ends(50, 70), False),  # transactions come and go
        (30, Ends(40, 60), Ends(40, 60), False),  # there is something to read yet
        (40, Ends(40, 40), Ends(40, 40), False),
        (None, Ends(0, 10), Ends(0, 10), True),  # nothing of the partition is in a version yet
    ],
)
def test_a_partition_waits_behind_a_transaction_that_stays_open(
    position: int | None, before: Ends, now: Ends, waits: bool
) -> None:
    positions = {} if position is None else {"0": position}
    answers: Answers = deque([{0: before}] * (ANSWERS_OF_AN_OPEN_TRANSACTION - 1) + [{0: now}])
    words = behind_transactions("clicks", positions, answers)
    end = f"partition 0 stands at offset {now.stable}, {now.newest - now.stable} offsets before"
    assert (end in words, bool(words)) == (waits, waits)


def test_two_answers_do_not_make_an_open_transaction() -> None:
    ends = {0: Ends(40, 60)}
    assert behind_transactions("clicks", {"0": 40}, deque([ends, ends])) == ""
