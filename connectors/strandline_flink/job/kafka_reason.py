"""Why a Kafka broker does not serve us, in its own words and with what to do about it.

librdkafka is asked, because it tells a refused password from a refused certificate and from a port
that nobody listens at. kafka-python says of all of them that it cannot bootstrap.
"""

import logging
import re
import socket
import ssl
import time
from typing import Final

from confluent_kafka import KafkaError, KafkaException
from confluent_kafka.admin import AdminClient

from strandline_flink.job.kafka_settings import KafkaSettings

ASK_S: Final = 3.0
POLL_S: Final = 0.1
PROBE_S: Final = 2.0
FILE: Final = "in --kafka-config"
# What librdkafka says, and what helps; the first that is found. OpenSSL's alerts are the broker's.
REMEDIES: Final = (
    (
        "certificate verify failed",
        f"Check ssl.truststore.location {FILE}: it must hold the authority of the broker's"
        " certificate",
    ),
    (
        "alert",
        f"Check ssl.keystore.location {FILE}: the broker asks for a client's certificate that it"
        " trusts",
    ),
    ("SSL", f"Check security.protocol {FILE}, and the port: is TLS spoken there?"),
    ("SASL", f"Check sasl.mechanism, sasl.username and sasl.password {FILE}"),
    ("resolve", "Check the host's name in --bootstrap, and how this machine finds hosts"),
)
# What it adds: an address before, times and advice on its own settings behind.
_ADDED: Final = re.compile(
    r"^(\w+://)?\S+: "
    r"|: broker certificate could not be verified.*|\s*\(after .*|: broker's supported.*"
)


def reason(bootstrap: str, settings: KafkaSettings) -> str:
    """Return one sentence about what the brokers answer, and what to do next. It has no secrets."""
    said = next(filter(remedy, words := errors(bootstrap, settings)), "")
    who = f"{bootstrap} as {settings.describe()}"
    if said:
        return f"the Kafka broker at {who} cannot be used: {said}. {remedy(said)}"
    if not settings.uses_tls and speaks_tls(bootstrap):
        return (
            f"the Kafka broker at {who} cannot be used: it speaks TLS. Set security.protocol {FILE}"
            " to SSL or SASL_SSL, or check --bootstrap"
        )
    met = words[0] if words else "it says nothing"
    return f"no Kafka broker answers at {who}: {met}. Start it, or check --bootstrap and {FILE[3:]}"


def errors(bootstrap: str, settings: KafkaSettings) -> list[str]:
    """Return what librdkafka meets, until one of its errors says more than that nobody answers."""
    met: list[KafkaError] = []
    client = AdminClient(
        {
            **settings.librdkafka_options(),
            "bootstrap.servers": bootstrap,
            "error_cb": met.append,
        },
        logger=logging.getLogger("kafka"),
    )
    deadline_s = time.monotonic() + ASK_S
    while time.monotonic() < deadline_s and not any(remedy(each.str()) for each in met):
        try:
            client.list_topics(timeout=POLL_S)
            break  # it answers by now
        except KafkaException:
            client.poll(0)
    return [_ADDED.sub("", each.str()) for each in met]


def remedy(said: str) -> str | None:
    """What helps, None if the words tell nothing but that nobody answers."""
    return next((what for word, what in REMEDIES if word in said), None)


def speaks_tls(bootstrap: str) -> bool:
    """Whether the first of the brokers answers a TLS greeting; who it is does not matter here."""
    host, _, port = bootstrap.partition(",")[0].rpartition(":")
    context = ssl.create_default_context()
    context.check_hostname, context.verify_mode = False, ssl.CERT_NONE
    try:
        with (
            socket.create_connection((host, int(port)), PROBE_S) as plain,
            context.wrap_socket(plain),
        ):
            return True
    except (OSError, ValueError):
        return False


def not_allowed(topic: str, bootstrap: str, settings: KafkaSettings) -> str:
    """The sentence for a topic that the broker keeps to others."""
    user = settings.values.get("sasl.username")
    whom = f"user {user!r}" if user else f"this client ({settings.describe()})"
    return (
        f"topic {topic!r} at {bootstrap}: the broker does not allow {whom} to use it (or it does"
        " not exist). Let its ACLs allow READ and DESCRIBE on the topic, or check --topic and"
        " --kafka-config"
    )
