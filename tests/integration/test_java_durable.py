"""What a job finds done may be the work of a process that died before it was durable."""

import json
import re
import shutil
import subprocess
from pathlib import Path

import pytest

from strandline.store import create_store
from tests.integration.java_roles import commit_step, committable
from tests.integration.java_runner import TIMEOUT_S, command
from tests.jobs import Job
from tests.streams import clicks, clicks_spec

pytestmark = pytest.mark.skipif(
    shutil.which("strace") is None, reason="needs strace to see system calls"
)


def traced(folder: Path, step: str, *java: str) -> list[str]:
    """`durable` for each fsync of the versions' folder, `answered` for what Java prints.

    The store agent is a child of Java, and traced with it.
    """
    calls = folder / "calls"
    trace = ["strace", "-f", "-y", "-e", "trace=fsync,write", "-o", str(calls)]
    subprocess.run(
        [*trace, *java], input=step, text=True, capture_output=True, check=True, timeout=TIMEOUT_S
    )
    versions = re.escape(str(folder / "store" / "versions" / "0000000"))
    seen = {
        rf"fsync\(\d+<{versions}>": "durable",
        r"write\(1<[^>]*>, \"\{\\\"mine": "answered",
        r"write\(1<[^>]*>, \"\{\}": "answered",
    }
    return [
        name
        for line in calls.read_text(errors="replace").splitlines()
        for pattern, name in seen.items()
        if re.search(pattern, line)
    ]


def test_a_commit_that_was_made_before_is_durable_before_it_counts(tmp_path: Path) -> None:
    job = Job(create_store(str(tmp_path / "store"), clicks_spec(bits=10)))
    made = committable(job.epoch({0: clicks(3)}), job.entry.positions)
    job.commit()
    java = command(job.store.url, job.run, runner="WriterRunner")
    step = " ".join(commit_step(made)) + "\n"
    assert traced(tmp_path, step, *java) == ["durable", "answered"]


def test_an_open_that_was_made_before_is_durable_before_it_counts(tmp_path: Path) -> None:
    job = Job(create_store(str(tmp_path / "store"), clicks_spec(bits=10)))
    java = command(job.store.url, job.run, runner="WriterRunner")
    state = json.dumps({"positions": {"0": 0}, "run": job.run}, separators=(",", ":"))
    restore = f"restored 17 {state}\n"
    assert traced(tmp_path, restore, *java) == ["durable", "answered"]
    assert traced(tmp_path, restore, *java) == ["durable", "answered"]
    assert job.store.head() == 2
