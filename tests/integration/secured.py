"""A real broker that lets nobody in without a certificate or a password, and asks who may do what.

Listeners: `SASL` (TLS, with PLAIN and SCRAM), `MUTUAL` (TLS, with a client's certificate), and the
plain one, whose users may do everything. alice may read, carol may see the topic, bob nothing.
"""

import subprocess
from dataclasses import dataclass
from pathlib import Path
from typing import Final

from confluent_kafka.admin import (
    AclBinding,
    AclOperation,
    AclPermissionType,
    AdminClient,
    ResourcePatternType,
    ResourceType,
    ScramCredentialInfo,
    ScramMechanism,
    UserScramCredentialUpsertion,
)

from strandline_flink.dev.broker import Broker

PASSWORDS: Final = {"alice": 'al"ice\\ s3cret', "bob": "b0b-s3cret", "carol": "c4rol-s3cret"}
_MODULES: Final = "org.apache.kafka.common.security"


@dataclass(frozen=True)
class Certificates:
    """PEM files: an authority, another one, and what the first one signed."""

    folder: Path

    @property
    def authority(self) -> Path:
        return self.folder / "authority.pem"

    @property
    def stranger(self) -> Path:
        return self.folder / "stranger.pem"

    def of(self, name: str) -> Path:
        """A key and its certificate in one file."""
        return self.folder / f"{name}.pem"

    @classmethod
    def make(cls, folder: Path) -> "Certificates":
        """Make all of them with openssl."""
        folder.mkdir(parents=True)
        made = cls(folder)
        for name in ("authority", "stranger"):
            openssl(
                *("req", "-x509", "-newkey", "rsa:2048", "-nodes", "-days", "2"),
                *("-subj", f"/CN={name}", "-keyout", f"{folder}/{name}.key"),
                *("-out", f"{folder}/{name}.pem"),
            )
        for name in ("broker", "alice"):
            made._sign(name)
        return made

    def _sign(self, name: str) -> None:
        key, request, signed = (self.folder / f"{name}.{kind}" for kind in ("key", "csr", "crt"))
        names = self.folder / "names"
        names.write_text("subjectAltName=DNS:localhost,IP:127.0.0.1\n")
        openssl(
            *("req", "-newkey", "rsa:2048", "-nodes", "-subj", f"/CN={name}"),
            *("-keyout", str(key), "-out", str(request)),
        )
        openssl(
            *("x509", "-req", "-in", str(request), "-days", "2", "-out", str(signed)),
            *("-CA", str(self.authority), "-CAkey", str(self.folder / "authority.key")),
            *("-CAcreateserial", "-extfile", str(names)),
        )
        self.of(name).write_text(key.read_text() + signed.read_text())


def openssl(*arguments: str) -> None:
    subprocess.run(["openssl", *arguments], check=True, capture_output=True)


def secured(folder: Path, certificates: Certificates) -> Broker:
    """The broker, not started."""
    users = "".join(f" user_{name}={quoted(word)}" for name, word in PASSWORDS.items())
    sasl = "listener.name.sasl"
    return Broker(
        folder,
        listeners={"SASL": "SASL_SSL", "MUTUAL": "SSL"},
        properties={
            "authorizer.class.name": "org.apache.kafka.metadata.authorizer.StandardAuthorizer",
            "super.users": "User:ANONYMOUS",
            "ssl.keystore.type": "PEM",
            "ssl.keystore.location": str(certificates.of("broker")),
            "ssl.truststore.type": "PEM",
            "ssl.truststore.location": str(certificates.authority),
            "listener.name.mutual.ssl.client.auth": "required",
            f"{sasl}.sasl.enabled.mechanisms": "PLAIN,SCRAM-SHA-512",
            f"{sasl}.plain.sasl.jaas.config": (
                f"{_MODULES}.plain.PlainLoginModule required{escaped(users)};"
            ),
            f"{sasl}.scram-sha-512.sasl.jaas.config": (
                f"{_MODULES}.scram.ScramLoginModule required;"
            ),
        },
    )


def let_in(broker: Broker, topic: str) -> None:
    """Make the users known for SCRAM, and give them their rights on a running broker's topic."""
    admin = AdminClient({"bootstrap.servers": broker.bootstrap})
    scram = ScramCredentialInfo(ScramMechanism.SCRAM_SHA_512, 4096)
    made = admin.alter_user_scram_credentials(
        [
            UserScramCredentialUpsertion(name, scram, word.encode())
            for name, word in PASSWORDS.items()
        ]
    )
    rules = [
        AclBinding(
            ResourceType.TOPIC,
            topic,
            ResourcePatternType.LITERAL,
            f"User:{name}",
            "*",
            operation,
            AclPermissionType.ALLOW,
        )
        for name, operation in (
            ("alice", AclOperation.READ),
            ("CN=alice", AclOperation.READ),
            ("carol", AclOperation.DESCRIBE),
        )
    ]
    for future in (*made.values(), *admin.create_acls(rules).values()):
        future.result()


def quoted(text: str) -> str:
    inside = text.replace("\\", "\\\\").replace('"', '\\"')
    return f'"{inside}"'


def escaped(text: str) -> str:
    """As a value in a properties file."""
    return text.replace("\\", "\\\\")


def settings(file: Path, *lines: str) -> Path:
    """A settings file of `--kafka-config`, for its owner alone."""
    file.write_text("".join(f"{line}\n" for line in lines))
    file.chmod(0o600)
    return file


def sasl(
    file: Path, authority: Path, user: str = "alice", password: str = "", mechanism: str = "PLAIN"
) -> Path:
    """The settings of a user with a password."""
    return settings(
        file,
        "security.protocol=SASL_SSL",
        f"ssl.truststore.location={authority}",
        f"sasl.mechanism={mechanism}",
        f"sasl.username={user}",
        f"sasl.password={password or PASSWORDS[user]}",
    )
