"""A contender's command, run until all its processes have ended, and their processor time."""

import resource
import subprocess
import sys
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Final, NamedTuple

from strandline_flink.processes.children import dying_with_parent

STDERR_CHARS: Final = 4000

# Linux counts the time of a process for the one that waits for it. A process whose parent ended
# falls to the nearest reaper above: in process mode Python workers, whose shell ends before them.
_REAPER: Final = """
import ctypes, os, signal, subprocess, sys
PR_SET_PDEATHSIG, PR_SET_CHILD_SUBREAPER = 1, 36
prctl = ctypes.CDLL(None).prctl
prctl(PR_SET_CHILD_SUBREAPER, 1)
code = subprocess.call(sys.argv[1:], preexec_fn=lambda: prctl(PR_SET_PDEATHSIG, signal.SIGKILL))
while True:
    try:
        os.wait()
    except ChildProcessError:
        sys.exit(code)
"""


class Done(NamedTuple):
    """A command that ended well: what it wrote to stdout, and its processes' time."""

    stdout: str
    cpu_s: float


def run_to_end(
    name: str,
    command: Sequence[str],
    *,
    cwd: Path | None = None,
    env: Mapping[str, str] | None = None,
) -> Done:
    """Run a command until every process below it has ended, those that nobody awaits included.

    Raises `RuntimeError` with the end of its stderr if it fails.
    """
    before_s = _children_cpu_s()
    done = subprocess.run(
        dying_with_parent([sys.executable, "-I", "-S", "-c", _REAPER, *command]),
        cwd=cwd,
        env=env,
        capture_output=True,
        text=True,
        check=False,
    )
    if done.returncode:
        words = done.stderr[-STDERR_CHARS:]
        raise RuntimeError(f"{name} ended with {done.returncode}:\n{words}")
    return Done(done.stdout, _children_cpu_s() - before_s)


def _children_cpu_s() -> float:
    """Return the processor time of all children that have ended so far, in seconds."""
    used = resource.getrusage(resource.RUSAGE_CHILDREN)
    return used.ru_utime + used.ru_stime
