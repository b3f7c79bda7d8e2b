"""Which mode a job takes, and what a Python worker of Flink's does first."""

import subprocess
import sys
import time
from pathlib import Path

import pytest

from strandline.errors import EnvironmentUnfit
from strandline_flink.job import execution_mode
from strandline_flink.job.execution_mode import chosen

# As Flink starts a worker: a JVM's shell starts Python, whose `print` was replaced.
AS_WORKER = """
import builtins, sys, time, types
class Custom:
    def __init__(self, print): self._print = print
    def print(self, *args, sep=" ", end="\\n", file=None): raise AssertionError
builtins.print = Custom(print).print
sys.modules["pyflink.fn_execution.beam.beam_sdk_worker_main"] = types.ModuleType("worker")
import strandline_flink, numba
print("ready", flush=True)
time.sleep(60)
"""


@pytest.mark.parametrize(
    ("asked", "libpython", "taken"),
    [
        ("auto", "libpython3.11.so", "thread"),
        ("auto", None, "process"),
        ("thread", "libpython3.11.so", "thread"),
        ("process", "libpython3.11.so", "process"),
        ("process", None, "process"),
    ],
)
def test_the_mode_taken(
    monkeypatch: pytest.MonkeyPatch, asked: str, libpython: str | None, taken: str
) -> None:
    monkeypatch.setattr(execution_mode, "find_libpython", lambda: libpython)
    mode = chosen(asked)
    assert mode.name == taken
    assert mode.why


def test_thread_mode_without_a_shared_libpython(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(execution_mode, "find_libpython", lambda: None)
    with pytest.raises(EnvironmentUnfit, match="--mode process"):
        chosen("thread")


def test_a_python_worker_ends_when_the_jvm_above_its_shell_is_killed(tmp_path: Path) -> None:
    java = tmp_path / "java"  # any program of that name
    java.symlink_to(sys.executable)
    shell = ["sh", "-c", '"$0" -c "$1" | cat', sys.executable, AS_WORKER]
    start = f"import subprocess; subprocess.run({shell!r})"
    with subprocess.Popen([java, "-c", start], stdout=subprocess.PIPE) as jvm:
        assert jvm.stdout is not None
        assert jvm.stdout.readline() == b"ready\n"
        jvm.kill()
        began_s = time.monotonic()
        assert jvm.stdout.read() == b""  # the pipe closes with the last process that holds it
        assert time.monotonic() - began_s < 20
