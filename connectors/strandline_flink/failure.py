"""Errors across processes: `STRANDLINE[code] message` inside any text is one of our errors."""

import re
from collections.abc import Iterator
from pathlib import Path
from typing import Final

import msgspec

from strandline.errors import EnvironmentUnfit, StrandlineError

# The message ends where Java's stack trace goes on.
_MARKER: Final = re.compile(
    r"STRANDLINE\[([a-z_]+)\] (.*?)(?=\n\s+at |\n\s*(?:Caused by|Suppressed):|\n\s*\.{3} \d|\Z)",
    re.DOTALL,
)
_CAUSE: Final = re.compile(r"^\s*Caused by: (.+)$", re.MULTILINE)
_LOST: Final = re.compile(
    r"FlinkJobNotFoundException|ConnectException|Connection refused|ConnectionClosedException"
)
# What Kafka's Java client is refused with, wherever it happens in a running job.
_KAFKA: Final = re.compile(
    r"\b(?:errors\.(?:SaslAuthentication|SslAuthentication|TopicAuthorization"
    r"|GroupAuthorization|ClusterAuthorization)|java\.net\.UnknownHost"
    r"|config\.Config)Exception: (.+)"
)
FAILURE_FILE: Final = "failure.json"
# Names the folder of a local run in the environment of its processes.
RUN_FOLDER: Final = "STRANDLINE_RUN_FOLDER"


class Failure(msgspec.Struct, frozen=True):
    """What the job's process leaves behind when it ends in error; `code` is "" if unknown."""

    code: str
    message: str


def marked(error: StrandlineError) -> str:
    """The error as text that `find_failure` finds again.

    >>> from strandline.errors import Gap
    >>> find_failure("RuntimeException: " + marked(Gap("events 3 to 5 are missing")))
    Failure(code='gap', message='events 3 to 5 are missing')
    """
    return f"STRANDLINE[{error.code}] {error}"


def find_failure(text: str) -> Failure | None:
    """The first marked error in a text, such as a Java stack trace."""
    found = _MARKER.search(text)
    return Failure(found[1], found[2].strip()) if found else None


def cause_of(text: str) -> Failure:
    """The marked error of a text, else why Kafka refuses the job, else its root cause."""
    return find_failure(text) or kafka_failure(text) or Failure("", root_cause(text))


def write_failure(folder: Path, text: str) -> None:
    """Leave the cause of a failure for the parent process."""
    failure = cause_of(text)
    (folder / FAILURE_FILE).write_bytes(msgspec.json.encode(failure))


def kafka_failure(text: str) -> Failure | None:
    """What a broker, or a host's name, refuses the job; the last cause says the most.

    >>> kafka_failure("A: b\\nCaused by: java.net.UnknownHostException: kafka-1").message[:40]
    'Kafka cannot be used by the job: kafka-1'
    """
    found = _KAFKA.findall(text)
    if not found:
        return None
    return Failure(
        EnvironmentUnfit.code,
        f"Kafka cannot be used by the job: {found[-1].strip()}. Check --bootstrap, --kafka-config"
        " and the ACLs of its user (READ and DESCRIBE on the topic), then start again: it goes on"
        " where the store stands",
    )


def root_cause(text: str) -> str:
    """The last cause that a stack trace names; the first line of any other text.

    >>> root_cause("Exception: no\\n\\tat here\\nCaused by: A: b\\nCaused by: C: d\\n\\tat there")
    'C: d'
    """
    causes = _CAUSE.findall(text)
    lines = text.strip().splitlines() or ["the job ended without a word"]
    return str(causes[-1]) if causes else lines[0]


def job_lost(text: str) -> bool:
    """Whether a stack trace says that the cluster no longer knows the job, or does not answer."""
    return bool(_LOST.search(text))


def read_failure(folder: Path) -> Failure | None:
    """What `write_failure` left, None if the process died before it could."""
    try:
        return msgspec.json.decode((folder / FAILURE_FILE).read_bytes(), type=Failure)
    except (OSError, msgspec.MsgspecError):
        return None


def known_error(failure: Failure) -> StrandlineError | None:
    """The typed error with the failure's code, None if it is none of ours."""
    for known in error_classes(StrandlineError):
        if known.code == failure.code:
            return known(failure.message)
    return None


def as_error(failure: Failure | None, logs: Path) -> StrandlineError:
    """The typed error of a failed job; it names the folder of the run's logs."""
    known = known_error(failure) if failure is not None else None
    if known is not None:
        return type(known)(f"{known}\nThe job's logs are in {logs}")
    reason = failure.message if failure else "its process ended without a word"
    if not reason.startswith("the job failed"):
        reason = f"the job failed: {reason}"
    return StrandlineError(f"{reason}\nThe whole story is in {logs}")


def error_classes(root: type[StrandlineError]) -> Iterator[type[StrandlineError]]:
    """All classes below `root`."""
    for known in root.__subclasses__():
        yield known
        yield from error_classes(known)
