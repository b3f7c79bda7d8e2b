"""A broker that asks for certificates, passwords and rights: what is refused is said as it is."""

import re
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

from strandline.errors import EnvironmentUnfit
from strandline_flink.dev.broker import Broker
from strandline_flink.dev.producing import produce
from strandline_flink.job.kafka_settings import KafkaSettings
from strandline_flink.launch import preflight
from tests.integration import harness
from tests.integration.harness import Run, ends
from tests.integration.secured import (
    PASSWORDS,
    Certificates,
    let_in,
    sasl,
    secured,
    settings,
)
from tests.streams import CLICKS, clicks

pytestmark = [
    pytest.mark.timeout(300),
    # kafka-python forgets the socket of a TLS handshake that failed.
    pytest.mark.filterwarnings("ignore::pytest.PytestUnraisableExceptionWarning"),
]

TOPIC = "kept"


@pytest.fixture(scope="module")
def certificates(tmp_path_factory: pytest.TempPathFactory) -> Certificates:
    return Certificates.make(tmp_path_factory.mktemp("certificates") / "made")


@pytest.fixture(scope="module")
def kept(tmp_path_factory: pytest.TempPathFactory, certificates: Certificates) -> Iterator[Broker]:
    with secured(tmp_path_factory.mktemp("secured"), certificates) as broker:
        broker.create_topic(TOPIC, 2)
        let_in(broker, TOPIC)
        harness.produce(broker, TOPIC, clicks(300))
        yield broker


@pytest.fixture(autouse=True)
def hurry(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(preflight, "BROKER_TIMEOUT_MS", 1500)


def topic(address: str, file: Path | None) -> preflight.Topic:
    return preflight.Topic(address, TOPIC, KafkaSettings.load(str(file) if file else ""))


def refusal(address: str, file: Path | None) -> str:
    """What the checks before a run say; what a producer says begins in the same way."""
    with pytest.raises(EnvironmentUnfit) as caught:
        topic(address, file).partitions()
    loaded = KafkaSettings.load(str(file) if file else "")
    with pytest.raises(EnvironmentUnfit) as again:
        produce(address, TOPIC, [[b"{}"]], loaded)
    said = str(caught.value)
    assert str(again.value)[:60] == said[:60]
    for word in PASSWORDS.values():
        assert word not in said
    return said


@pytest.mark.parametrize(
    "mechanism", [pytest.param("PLAIN", marks=pytest.mark.long), "SCRAM-SHA-512"]
)
def test_wrong_password(
    kept: Broker, certificates: Certificates, tmp_path: Path, mechanism: str
) -> None:
    file = sasl(tmp_path / "s", certificates.authority, mechanism=mechanism)
    assert topic(kept.address("SASL"), file).partitions() == 2
    wrong = sasl(tmp_path / "s", certificates.authority, password="no-s3cret", mechanism=mechanism)
    said = refusal(kept.address("SASL"), wrong)
    assert re.search("Authentication failed.*Check .*sasl.password in --kafka-config", said)
    assert "no-s3cret" not in said


@pytest.mark.long
def test_mechanism_that_the_broker_does_not_offer(
    kept: Broker, certificates: Certificates, tmp_path: Path
) -> None:
    file = sasl(tmp_path / "s", certificates.authority, mechanism="SCRAM-SHA-256")
    assert "Unsupported SASL mechanism" in refusal(kept.address("SASL"), file)


def test_wrong_authority(kept: Broker, certificates: Certificates, tmp_path: Path) -> None:
    said = refusal(kept.address("SASL"), sasl(tmp_path / "s", certificates.stranger))
    assert "certificate verify failed" in said
    assert "ssl.truststore.location" in said


@pytest.mark.long
def test_client_certificate_is_missing(
    kept: Broker, certificates: Certificates, tmp_path: Path
) -> None:
    tls = ("security.protocol=SSL", f"ssl.truststore.location={certificates.authority}")
    mine = f"ssl.keystore.location={certificates.of('alice')}"
    assert topic(kept.address("MUTUAL"), settings(tmp_path / "s", *tls, mine)).partitions() == 2
    assert "ssl.keystore.location" in refusal(
        kept.address("MUTUAL"), settings(tmp_path / "s", *tls)
    )


@pytest.mark.long
def test_tls_on_one_side_only(kept: Broker, certificates: Certificates, tmp_path: Path) -> None:
    assert "it speaks TLS. Set security.protocol" in refusal(kept.address("MUTUAL"), None)
    tls = ("security.protocol=SSL", f"ssl.truststore.location={certificates.authority}")
    said = refusal(kept.bootstrap, settings(tmp_path / "s", *tls))
    assert "Check security.protocol" in said


def test_user_without_rights(kept: Broker, certificates: Certificates, tmp_path: Path) -> None:
    said = refusal(kept.address("SASL"), sasl(tmp_path / "s", certificates.authority, "bob"))
    assert "the broker does not allow user 'bob'" in said


@pytest.mark.long
def test_host_that_nobody_knows() -> None:
    assert "Check the host's name in --bootstrap" in refusal("no-such-host.invalid:9092", None)


def test_a_run_with_a_password_shows_it_to_nobody(
    kept: Broker, certificates: Certificates, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("TMPDIR", str(tmp_path))
    file = sasl(tmp_path / "s", certificates.authority, mechanism="SCRAM-SHA-512")
    with Run(kept.address("SASL"), TOPIC, tmp_path, "--kafka-config", str(file)) as run:
        run.wait_for_events(ends(kept, TOPIC))
        secret = PASSWORDS["alice"]
        for process in run.processes():
            assert not any(secret in word for word in process.cmdline())
        logs = list(tmp_path.glob("strandline-run-*/log/*"))
        assert logs
        assert not any(secret in log.read_text(errors="replace") for log in logs)
        assert run.stop()["ended"] == "stopped"


@pytest.mark.parametrize(
    ("user", "words"),
    [
        ("bob", "the broker does not allow user 'bob'"),  # known before anything starts
        ("carol", "Kafka cannot be used by the job: Not authorized to access topics: [kept]"),
    ],
)
@pytest.mark.long
def test_a_run_whose_user_may_not_read(
    kept: Broker, certificates: Certificates, tmp_path: Path, user: str, words: str
) -> None:
    file = sasl(tmp_path / "s", certificates.authority, user)
    (tmp_path / "spec.toml").write_text(CLICKS)
    command = [sys.executable, "-m", "strandline.cli", "run", str(tmp_path / "spec.toml")]
    command += ["--bootstrap", kept.address("SASL"), "--topic", TOPIC]
    command += ["--store", str(tmp_path / "store"), "--kafka-config", str(file)]
    ended = subprocess.run(command, capture_output=True, text=True, check=False, timeout=120)
    assert ended.returncode != 0
    assert words in " ".join(ended.stderr.split())
