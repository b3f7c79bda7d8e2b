"""Child processes: none outlives the one that started it, and each ends in order if it can."""

import os
import subprocess
import sys
from collections.abc import Sequence
from pathlib import Path

# Runs in the child before the command replaces it. The parent may be gone before the first call.
_THEN_EXEC = """
import ctypes, os, signal, sys
PR_SET_PDEATHSIG = 1
ctypes.CDLL(None).prctl(PR_SET_PDEATHSIG, signal.SIGKILL)
if os.getppid() != int(sys.argv[1]):
    raise SystemExit("the process that started this one is gone")
os.execv(sys.argv[2], sys.argv[2:])
"""


def dying_with_parent(command: Sequence[str | Path]) -> list[str]:
    """The same command, with its process killed as soon as this process ends in any way.

    `command[0]` is a path, not a name to look up. Linux ties the child's life to the *thread*
    that starts it: start it from a thread that lives as long as the child should.
    """
    return [sys.executable, "-I", "-S", "-c", _THEN_EXEC, str(os.getpid()), *map(str, command)]


def end(child: subprocess.Popen[bytes], timeout_s: float) -> int:
    """Ask a process to end, by force if it takes too long; wait until it is gone, exit code."""
    child.terminate()
    try:
        return child.wait(timeout_s)
    except subprocess.TimeoutExpired:
        child.kill()
        return child.wait()
