"""A running Flink cluster, asked over the JobManager's REST interface."""

import http.client
import json
import re
import urllib.error
import urllib.request
from typing import Any, Final

from strandline.errors import EnvironmentUnfit

TIMEOUT_S: Final = 5.0
ANSWER_BYTES_MAX: Final = 1 << 24
FAILURES_MAX: Final = 16  # Flink keeps that many itself
# A cluster is not on the other side of a proxy, whatever http_proxy says.
DIRECTLY: Final = urllib.request.build_opener(urllib.request.ProxyHandler({}))
PYTHON_JAR: Final = re.compile(r"(^|[/:])flink-python-[^/:]*\.jar")


def ask(address: str, path: str) -> Any:
    """The JSON that `http://address/path` answers with.

    Raises `EnvironmentUnfit` if no JobManager answers there.
    """
    try:
        with DIRECTLY.open(f"http://{address}/{path}", timeout=TIMEOUT_S) as answer:
            return json.loads(answer.read(ANSWER_BYTES_MAX))
    except (OSError, ValueError, http.client.HTTPException) as error:
        reason = error.reason if isinstance(error, urllib.error.URLError) else error
        raise EnvironmentUnfit(
            f"no Flink JobManager answers at {address}: {reason}. Start the cluster, or check "
            "--flink: it is the host and port of the REST interface, 8081 by default"
        ) from None


def slots(address: str) -> tuple[int, int]:
    """How many slots the cluster has, and how many are free."""
    overview = ask(address, "overview")
    try:
        return int(overview["slots-total"]), int(overview["slots-available"])
    except (KeyError, TypeError) as error:
        raise no_jobmanager(address) from error


def flink_version(address: str) -> str:
    """The release that the JobManager runs."""
    overview = ask(address, "overview")
    try:
        return str(overview["flink-version"])
    except (KeyError, TypeError) as error:
        raise no_jobmanager(address) from error


def unfinished_jobs(address: str) -> list[str]:
    """Names of the jobs that hold or want slots."""
    jobs = ask(address, "jobs/overview")["jobs"]
    ended = ("FINISHED", "CANCELED", "FAILED")
    return [str(job["name"]) for job in jobs if job["state"] not in ended]


def has_python_jar(address: str) -> bool:
    """Whether flink-python's jar is on the JobManager's class path.

    TaskManagers cannot be asked: they are taken to have the same lib folder.
    """
    class_path = ask(address, "jobmanager/environment")["classpath"]
    return any(PYTHON_JAR.search(str(path)) for path in class_path)


def failures(address: str, job: str, after_ms: int) -> list[tuple[int, str]]:
    """A job's failures after a time, oldest first: when, and the stack trace."""
    history = ask(address, f"jobs/{job}/exceptions?maxExceptions={FAILURES_MAX}")
    try:
        entries = [
            (int(entry["timestamp"]), str(entry["stacktrace"]))
            for entry in history["exceptionHistory"]["entries"]
        ]
    except (KeyError, TypeError, ValueError) as error:
        raise no_jobmanager(address) from error
    return sorted(entry for entry in entries if entry[0] > after_ms)


def no_jobmanager(address: str) -> EnvironmentUnfit:
    """The error of an address where something else answers."""
    return EnvironmentUnfit(
        f"what answers at {address} is no Flink JobManager; check --flink: it is the host and port "
        "of the REST interface, 8081 by default"
    )
