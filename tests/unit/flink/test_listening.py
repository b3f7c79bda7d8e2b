"""What a run says of brokers that do not answer."""

import pytest

from strandline.store import MemoryStore
from strandline_flink.job.kafka_settings import KafkaSettings
from strandline_flink.launch import preflight
from strandline_flink.launch.listening import silence_of
from strandline_flink.launch.preflight import Topic
from strandline_flink.launch.progress import Progress, Silence

NOBODY = Topic("127.0.0.1:1", "clicks", KafkaSettings())


def test_version_of_events_read_before_ends_no_silence(monkeypatch: pytest.MonkeyPatch) -> None:
    """Checkpoints further apart than a run has patience: the next one comes amid the silence."""
    monkeypatch.setattr(preflight, "BROKER_TIMEOUT_MS", 200)
    progress = Progress(MemoryStore(), "events", "a" * 32)
    assert silence_of(NOBODY, progress) is None, "it moved a moment ago, nobody is asked"
    progress.silence = Silence(1_000, "no Kafka broker answers")
    assert silence_of(NOBODY, progress) is progress.silence
