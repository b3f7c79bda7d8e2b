"""How the Kafka clients connect: TLS and SASL settings from a properties file, for Java and Python.

Only the keys below are read: a free `sasl.jaas.config` could load any class, and a consumer
setting such as `auto.offset.reset` would undo what exactly-once stands on. Certificates are PEM
files, the one format that both clients read.
"""

import os
import re
import stat
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Final, Self

from strandline.errors import EnvironmentUnfit

PROTOCOLS: Final = ("PLAINTEXT", "SSL", "SASL_PLAINTEXT", "SASL_SSL")
KEYS: Final = (
    "security.protocol",
    "sasl.mechanism",
    "sasl.username",
    "sasl.password",
    "ssl.truststore.location",
    "ssl.keystore.location",
    "ssl.key.password",
)
PASSWORDS: Final = ("sasl.password", "ssl.key.password")
# The connector's jar moves the Kafka client under this package.
_SECURITY: Final = "org.apache.flink.kafka.shaded.org.apache.kafka.common.security"
LOGIN_MODULES: Final = {
    "PLAIN": f"{_SECURITY}.plain.PlainLoginModule",
    "SCRAM-SHA-256": f"{_SECURITY}.scram.ScramLoginModule",
    "SCRAM-SHA-512": f"{_SECURITY}.scram.ScramLoginModule",
}
_CLIENT_NAMES: Final = {
    "security.protocol": "security_protocol",
    "sasl.mechanism": "sasl_mechanism",
    "sasl.username": "sasl_plain_username",
    "sasl.password": "sasl_plain_password",
    "ssl.truststore.location": "ssl_cafile",
    "ssl.keystore.location": "ssl_certfile",
    "ssl.key.password": "ssl_password",
}
_LIBRDKAFKA_NAMES: Final = {
    "ssl.truststore.location": ("ssl.ca.location",),
    "ssl.keystore.location": ("ssl.certificate.location", "ssl.key.location"),
}
CONFIG_BYTES_MAX: Final = 65_536


@dataclass(frozen=True, slots=True)
class KafkaSettings:
    """Checked connection settings; `values` is never shown, it holds passwords.

    `warning` says what is wrong with the file without being an error.
    """

    values: Mapping[str, str] = field(default_factory=dict, repr=False)
    warning: str = ""

    @classmethod
    def load(cls, path: str) -> Self:
        """Read a properties file; an empty path means a plain connection.

        Raises `EnvironmentUnfit` if the file cannot be read, names a key outside `KEYS`, or its
        values do not fit together.
        """
        if not path:
            return cls()
        try:
            data = Path(path).read_bytes()
            text = data.decode("utf-8")
        except (OSError, UnicodeDecodeError) as error:
            raise EnvironmentUnfit(f"cannot read the Kafka settings {path}: {error}") from None
        if len(data) > CONFIG_BYTES_MAX:
            raise EnvironmentUnfit(
                f"{path} has {len(data)} bytes, expected at most {CONFIG_BYTES_MAX}"
            )
        values: dict[str, str] = {}
        for number, line in enumerate(text.splitlines(), 1):
            if not line.strip() or line.lstrip().startswith(("#", "!")):
                continue
            key, equals, value = line.partition("=")
            if key.strip() not in KEYS or not equals:
                raise EnvironmentUnfit(
                    f"{path}, line {number}: expected KEY=VALUE with one of {', '.join(KEYS)}, "
                    f"got {shown(key.strip(), equals)}"
                )
            # A password may begin and end with blanks; of others nobody means them.
            name = key.strip()
            values[name] = value if name in PASSWORDS else value.strip()
        check(path, values)
        return cls(values, warning_of(path, values))

    @property
    def uses_tls(self) -> bool:
        """Whether connections are encrypted."""
        return self.values.get("security.protocol", "PLAINTEXT").endswith("SSL")

    def describe(self) -> str:
        """How we connect, without secrets."""
        protocol = self.values.get("security.protocol", "PLAINTEXT")
        mechanism = self.values.get("sasl.mechanism")
        return f"{protocol} ({mechanism})" if mechanism else protocol

    def java_properties(self) -> dict[str, str]:
        """What the Java client needs; SASL credentials become its login module's line."""
        properties = {
            key: self.values[key]
            for key in ("security.protocol", "sasl.mechanism")
            if key in self.values
        }
        for store in ("truststore", "keystore"):
            location = self.values.get(f"ssl.{store}.location")
            if location:
                properties[f"ssl.{store}.location"] = str(Path(location).absolute())
                properties[f"ssl.{store}.type"] = "PEM"
        if "ssl.key.password" in self.values:
            properties["ssl.key.password"] = self.values["ssl.key.password"]
        if "sasl.mechanism" in self.values:
            module = LOGIN_MODULES[self.values["sasl.mechanism"]]
            user, password = (quoted(self.values[f"sasl.{k}"]) for k in ("username", "password"))
            properties["sasl.jaas.config"] = (
                f"{module} required username={user} password={password};"
            )
        return properties

    def client_options(self) -> dict[str, Any]:
        """The same for kafka-python, as keyword arguments."""
        return {_CLIENT_NAMES[key]: value for key, value in self.values.items()}

    def librdkafka_options(self) -> dict[str, Any]:
        """The same for confluent-kafka, as its configuration."""
        return {
            name: value
            for key, value in self.values.items()
            for name in _LIBRDKAFKA_NAMES.get(key, (key,))
        }


def warning_of(path: str, values: Mapping[str, str]) -> str:
    """Say so if a file with passwords can be read by every user of the machine."""
    if os.stat(path).st_mode & stat.S_IROTH and any(key in values for key in PASSWORDS):
        return (
            f"{path} holds a password, and every user of this machine can read it: chmod o-r {path}"
        )
    return ""


def shown(key: str, equals: str) -> str:
    """What a refused line holds, without what may be a password: only a key with dots is shown.

    >>> shown("sasl.jaas.config", "="), shown("hunter2", "="), shown("hunter2", "")
    ("'sasl.jaas.config'", 'another key', 'a line without =')
    """
    if not equals:
        return "a line without ="
    return repr(key) if re.fullmatch(r"[a-z]{2,16}(\.[a-z]{2,16}){1,6}", key) else "another key"


def check(path: str, values: Mapping[str, str]) -> None:
    """Raise `EnvironmentUnfit` if the values of a settings file do not fit together."""
    protocol = values.get("security.protocol", "PLAINTEXT")
    if protocol not in PROTOCOLS:
        raise EnvironmentUnfit(
            f"{path}: security.protocol: expected one of {', '.join(PROTOCOLS)}, got {protocol!r}"
        )
    sasl = [key for key in KEYS if key.startswith("sasl.")]
    if protocol.startswith("SASL"):
        missing = [key for key in sasl if not values.get(key)]
        if missing:
            raise EnvironmentUnfit(f"{path}: {protocol} needs {', '.join(missing)}")
        if values["sasl.mechanism"] not in LOGIN_MODULES:
            raise EnvironmentUnfit(
                f"{path}: sasl.mechanism: expected one of {', '.join(LOGIN_MODULES)}, "
                f"got {values['sasl.mechanism']!r}"
            )
    elif any(key in values for key in sasl):
        raise EnvironmentUnfit(
            f"{path}: SASL settings need security.protocol SASL_SSL or SASL_PLAINTEXT, "
            f"got {protocol}"
        )
    for key in ("ssl.truststore.location", "ssl.keystore.location"):
        if key in values and not Path(values[key]).is_file():
            raise EnvironmentUnfit(f"{path}: {key}: expected a PEM file, got {values[key]!r}")


def quoted(text: str) -> str:
    r"""A JAAS string.

    >>> print(quoted('a"b\\c'))
    "a\"b\\c"
    """
    escaped = text.replace("\\", "\\\\").replace('"', '\\"')
    return f'"{escaped}"'
