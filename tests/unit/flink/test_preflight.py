"""What a question to brokers that do not answer leaves behind: nothing, it is asked for hours."""

import socket
import threading
from collections.abc import Iterator

import pytest

from strandline.errors import EnvironmentUnfit
from strandline_flink.job.kafka_settings import KafkaSettings
from strandline_flink.launch import preflight


@pytest.fixture(params=["refused", "silent"])
def address(request: pytest.FixtureRequest) -> Iterator[str]:
    with socket.socket() as port:
        port.bind(("127.0.0.1", 0))
        if request.param == "silent":
            port.listen()
        yield f"127.0.0.1:{port.getsockname()[1]}"


def test_no_broker_answers_and_no_thread_is_left(
    address: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(preflight, "BROKER_TIMEOUT_MS", 200)
    topic = preflight.Topic(address, "clicks", KafkaSettings())
    before = threading.enumerate()
    for ask in (topic.ends, topic.source, topic.partitions):
        with pytest.raises(EnvironmentUnfit, match="no Kafka broker answers"):
            ask()
    for thread in set(threading.enumerate()) - set(before):
        thread.join(5)
        assert not thread.is_alive()
