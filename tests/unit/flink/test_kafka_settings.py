"""TLS and SASL settings: what is read, what is refused, and that no secret is shown."""

from pathlib import Path

import pytest

from strandline.errors import EnvironmentUnfit
from strandline_flink.job.kafka_settings import KafkaSettings

SECRET = 'pa"ss\\word'
SCRAM = f"""
# as for any Java client
security.protocol = SASL_SSL
sasl.mechanism=SCRAM-SHA-512
sasl.username=alice
sasl.password={SECRET}
"""


def load(folder: Path, text: str) -> KafkaSettings:
    file = folder / "kafka.properties"
    file.write_text(text)
    return KafkaSettings.load(str(file))


def test_scram_credentials_reach_both_clients(tmp_path: Path) -> None:
    settings = load(tmp_path, SCRAM)
    java = settings.java_properties()
    assert java["security.protocol"] == "SASL_SSL"
    assert java["sasl.jaas.config"] == (
        "org.apache.flink.kafka.shaded.org.apache.kafka.common.security.scram.ScramLoginModule"
        ' required username="alice" password="pa\\"ss\\\\word";'
    )
    assert settings.client_options() == {
        "security_protocol": "SASL_SSL",
        "sasl_mechanism": "SCRAM-SHA-512",
        "sasl_plain_username": "alice",
        "sasl_plain_password": SECRET,
    }
    assert settings.librdkafka_options() == settings.values


def test_certificates_are_pem_files_for_both_clients(tmp_path: Path) -> None:
    for name in ("ca.pem", "me.pem"):
        (tmp_path / name).write_text("PEM")
    ca, me = tmp_path / "ca.pem", tmp_path / "me.pem"
    settings = load(
        tmp_path,
        f"security.protocol=SSL\nssl.truststore.location={ca}\nssl.keystore.location={me}\n",
    )
    assert settings.java_properties() == {
        "security.protocol": "SSL",
        "ssl.truststore.location": str(ca),
        "ssl.truststore.type": "PEM",
        "ssl.keystore.location": str(me),
        "ssl.keystore.type": "PEM",
    }
    assert settings.client_options() == {
        "security_protocol": "SSL",
        "ssl_cafile": str(ca),
        "ssl_certfile": str(me),
    }
    assert settings.librdkafka_options() == {
        "security.protocol": "SSL",
        "ssl.ca.location": str(ca),
        "ssl.certificate.location": str(me),
        "ssl.key.location": str(me),
    }


def test_without_a_file_the_connection_is_plain() -> None:
    assert KafkaSettings.load("").java_properties() == {}


def test_secrets_are_not_shown(tmp_path: Path) -> None:
    settings = load(tmp_path, SCRAM)
    assert SECRET not in repr(settings) + str(settings) + settings.describe()


@pytest.mark.parametrize(
    "text",
    [
        "sasl.jaas.config=com.evil.Module required secret;",
        "auto.offset.reset=latest # secret",
        "sasl.password secret",
        SCRAM.replace("SCRAM-SHA-512", "OAUTHBEARER").replace(SECRET, "secret"),
        "security.protocol=SASL_SSL\nsasl.mechanism=PLAIN\nsasl.password=secret",
        "security.protocol=SSL\nsasl.password=secret",
        "security.protocol=TLS",
        "security.protocol=SSL\nssl.truststore.location=/no/such/file",
    ],
)
def test_anything_else_is_refused_without_showing_it(tmp_path: Path, text: str) -> None:
    with pytest.raises(EnvironmentUnfit) as caught:
        load(tmp_path, text)
    assert "kafka.properties" in str(caught.value)
    assert "secret" not in str(caught.value)


def test_a_password_keeps_the_blanks_round_it(tmp_path: Path) -> None:
    text = SCRAM.replace(f"sasl.password={SECRET}", "sasl.password= two words ")
    assert load(tmp_path, text).values["sasl.password"] == " two words "


@pytest.mark.parametrize(("mode", "warns"), [(0o600, False), (0o640, False), (0o644, True)])
def test_a_password_that_every_user_can_read_is_warned_of(
    tmp_path: Path, mode: int, warns: bool
) -> None:
    file = tmp_path / "kafka.properties"
    file.write_text(SCRAM)
    file.chmod(mode)
    warning = KafkaSettings.load(str(file)).warning
    assert ("chmod o-r" in warning) == warns
    assert SECRET not in warning
