"""The process that drives Java, while Java is launched, and where Java does not start."""

import signal
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import msgspec
import pytest

from strandline_flink.cluster.run_folder import RunFolder
from strandline_flink.failure import FAILURE_FILE

JAVA = """#!/bin/sh
grep SigIgn /proc/$$/status >&2
echo start >> "$STRANDLINE_RUN_FOLDER/starts"
sleep 0.3
exit 7
"""
LIMIT_S = 30


@pytest.fixture
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[RunFolder]:
    monkeypatch.setattr("tempfile.tempdir", str(tmp_path))
    made = RunFolder.make()
    yield made
    made.remove()


def start(folder: RunFolder, program: str) -> subprocess.Popen[str]:
    """Start the program, with a Java that ends soon and says what signals it ignores."""
    java = folder.path / "java" / "bin" / "java"
    java.parent.mkdir(parents=True)
    java.write_text(JAVA)
    java.chmod(0o755)
    script = folder.path / "program.py"
    script.write_text(program)
    return subprocess.Popen(
        [sys.executable, "-P", "-m", "strandline_flink.job.job_process", str(script)],
        env=folder.environment() | {"JAVA_HOME": str(java.parents[1])},
        stderr=subprocess.PIPE,
        text=True,
    )


def test_program_fails_while_java_dies_and_java_is_not_started_anew(folder: RunFolder) -> None:
    process = start(folder, "raise ImportError('the first error')")
    _, said = process.communicate(timeout=LIMIT_S)
    failure = msgspec.json.decode((folder.path / FAILURE_FILE).read_bytes())
    assert failure["message"] == "the first error"
    assert (folder.path / "starts").read_text() == "start\n"
    assert said.rstrip().endswith("ImportError: the first error")
    assert process.returncode == 1


def test_java_ignores_sigterm_and_ctrl_c_and_its_parent_never_sigterm(folder: RunFolder) -> None:
    """A SIGTERM to the parent is sent once: ignored while Java is launched it would be lost."""
    process = start(folder, "import time; time.sleep(0.1)")
    status = Path("/proc", str(process.pid), "status")
    while not (folder.path / "starts").exists():
        assert not ignores(status.read_text(), signal.SIGTERM)
    _, said = process.communicate(timeout=LIMIT_S)
    assert ignores(said, signal.SIGTERM)
    assert ignores(said, signal.SIGINT)


def ignores(status: str, number: signal.Signals) -> bool:
    """Whether a process with this /proc/PID/status ignores the signal."""
    (mask,) = (line.split()[1] for line in status.splitlines() if line.startswith("SigIgn"))
    return bool(int(mask, 16) >> (number - 1) & 1)
