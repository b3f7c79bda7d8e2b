"""What a run says of brokers that do not answer."""

import pytest

from strandline.store import MemoryStore
from strandline_flink.job.kafka_settings import KafkaSettings
from strandline_flink.launch import preflight
from strandline_flink.launch.listening import ask, behind_transactions
from strandline_flink.launch.preflight import Ends, Topic
from strandline_flink.launch.progress import Progress
from strandline_flink.launch.troubles import Kind

NOBODY = Topic("127.0.0.1:1", "clicks", KafkaSettings())


def test_version_of_events_read_before_ends_no_silence(monkeypatch: pytest.MonkeyPatch) -> None:
    """Checkpoints further apart than a run has patience: the next one comes amid the silence."""
    monkeypatch.setattr(preflight, "BROKER_TIMEOUT_MS", 200)
    progress = Progress(MemoryStore(), "events", "a" * 32)
    ask(NOBODY, progress)
    first = progress.heard[Kind.BROKER]
    assert "no Kafka broker answers at 127.0.0.1:1" in first.reason
    ask(NOBODY, progress)
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
    words = behind_transactions("clicks", positions, {0: before}, {0: now})
    end = f"partition 0 stands at offset {now.stable}, {now.newest - now.stable} offsets before"
    assert (end in words, bool(words)) == (waits, waits)
