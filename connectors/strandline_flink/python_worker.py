"""Inside a Python worker of Flink's process mode: what must be so before anything is imported."""

import builtins
import os
import select
import sys
import threading
from pathlib import Path
from types import MethodType
from typing import Final

WORKER_MODULE: Final = "pyflink.fn_execution.beam.beam_sdk_worker_main"
JVM_GONE: Final = 70  # exit code


def prepare() -> None:
    """In such a worker, put `print` back and end with Flink's JVM; elsewhere do nothing."""
    if WORKER_MODULE in sys.modules and isinstance(builtins.print, MethodType):
        restore_print(builtins.print)
        end_with(jvm_above(os.getpid()))


def restore_print(replaced: MethodType) -> None:
    """PyFlink's `print` knows no `flush`, and numba cannot be imported while it is there."""
    builtins.print = replaced.__self__._print  # type: ignore[attr-defined]


def end_with(pid: int | None) -> None:
    """End this process as soon as that one does; at once if there is none.

    A worker would outlive a killed JVM: Flink starts it through a shell that nobody ends.
    """
    if pid is None:
        os._exit(JVM_GONE)
    try:
        watched = os.pidfd_open(pid)
    except ProcessLookupError:
        os._exit(JVM_GONE)
    threading.Thread(target=_exit_after, args=(watched,), name="jvm-watch", daemon=True).start()


def jvm_above(pid: int) -> int | None:
    """The nearest ancestor that is a JVM, None if there is none."""
    while pid > 1:
        pid = parent(pid)
        if name(pid) == "java":
            return pid
    return None


def parent(pid: int) -> int:
    """The parent's process id, 0 if there is none."""
    try:
        stat = Path(f"/proc/{pid}/stat").read_text()
    except FileNotFoundError:
        return 0
    return int(stat.rpartition(")")[2].split()[1])


def name(pid: int) -> str:
    """The name of a process' program, "" if it is gone."""
    try:
        return Path(f"/proc/{pid}/comm").read_text().strip()
    except FileNotFoundError:
        return ""


def _exit_after(watched: int) -> None:
    select.select([watched], [], [])  # a process' descriptor is readable once it has ended
    os._exit(JVM_GONE)
