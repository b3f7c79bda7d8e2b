"""Where a submitted job can be asked about: left in the run's folder for `strandline run`."""

import os
from pathlib import Path
from typing import Any, Final

import msgspec
from pyflink.common import JobClient

JOB_FILE: Final = "job.json"


class JobHandle(msgspec.Struct, frozen=True):
    """A job's id, and the address of the REST interface that knows it."""

    address: str
    job: str


def leave_handle(folder: Path, client: JobClient, address: str) -> None:
    """Write the handle of a job that was submitted to `address`, "" for Flink in our own JVM."""
    handle = JobHandle(address or local_address(client), str(client.get_job_id()))
    temporary = folder / f".{JOB_FILE}"
    temporary.write_bytes(msgspec.json.encode(handle))
    os.replace(temporary, folder / JOB_FILE)


def find_handle(folder: Path) -> JobHandle | None:
    """What `leave_handle` left, None before it did."""
    try:
        return msgspec.json.decode((folder / JOB_FILE).read_bytes(), type=JobHandle)
    except (OSError, msgspec.MsgspecError):
        return None


def local_address(client: JobClient) -> str:
    """The REST interface of the Flink that runs inside this process' JVM, on a port of its own."""
    java_client: Any = client._j_job_client
    field = java_client.getClass().getDeclaredField("miniCluster")
    field.setAccessible(True)
    address = field.get(java_client).getRestAddress().get()
    return f"{address.getHost()}:{address.getPort()}"
