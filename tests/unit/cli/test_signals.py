"""SIGTERM and Ctrl-C at any moment of a command: one word, the exit code, never a traceback."""

import signal
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path

import pytest

from strandline.cli.signals import EXIT_CODES, WORDS
from strandline.spec import Spec
from strandline.store import create_store
from tests.streams import CLICKS

DELAYS_S = (0.0, 0.02, 0.05, 0.1, 0.2, 0.4, 0.8, 1.5)
LATER_S = (3.0, 6.0, 12.0, 24.0)  # where a start takes longer
LIMIT_S = 60


def caught(pid: int, number: int) -> bool:
    """Whether the process has a handler for the signal."""
    for line in Path("/proc", str(pid), "status").read_text().splitlines():
        if line.startswith("SigCgt:"):
            return bool(int(line.split()[1], 16) >> (number - 1) & 1)
    return False


def wait_until(holds: Callable[[], bool]) -> None:
    deadline_s = time.monotonic() + LIMIT_S
    while not holds():
        assert time.monotonic() < deadline_s
        time.sleep(0.001)


@pytest.mark.parametrize("number", EXIT_CODES)
def test_a_signal_while_a_command_starts_and_while_it_runs(
    number: signal.Signals, tmp_path: Path
) -> None:
    """From when Python has handlers on, which is before the imports that take long."""
    create_store(str(tmp_path / "store"), Spec.parse(CLICKS))
    arguments = [sys.executable, "-m", "strandline.cli", "predict", str(tmp_path / "store")]
    words: set[str] = set()
    for delay_s in (*DELAYS_S, *LATER_S):
        if len(words) == 2 and delay_s in LATER_S:
            break
        with subprocess.Popen(
            arguments, stdin=subprocess.PIPE, stdout=subprocess.DEVNULL, stderr=subprocess.PIPE
        ) as process:
            wait_until(lambda pid=process.pid: caught(pid, signal.SIGTERM))  # type: ignore[misc]
            time.sleep(delay_s)
            process.send_signal(number)
            assert process.stderr is not None
            said = process.stderr.read().decode()
            code = process.wait(LIMIT_S)
        assert "Traceback" not in said, (delay_s, said)
        assert code == EXIT_CODES[number], (delay_s, said)
        words.add(said.strip().splitlines()[-1])
    assert words <= {WORDS[number], f"{WORDS[number]} before anything was begun"}
    assert len(words) == 2, "both while it started and while it ran"
