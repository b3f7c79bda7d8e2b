"""Where the job's Python runs: inside Flink's JVM (thread) or in processes beside it (process)."""

from typing import Final, NamedTuple

from find_libpython import find_libpython

from strandline.errors import EnvironmentUnfit

MODES: Final = ("auto", "thread", "process")


class Mode(NamedTuple):
    """A mode of execution, `thread` or `process`, and why it was taken."""

    name: str
    why: str


def chosen(asked: str) -> Mode:
    """The mode for `auto`, `thread` or `process` on this machine.

    Raises `EnvironmentUnfit` if `thread` is asked for and this Python cannot be loaded into a JVM.
    """
    if asked == "process":
        return Mode("process", "asked for")
    if find_libpython() is not None:
        return Mode("thread", "asked for" if asked == "thread" else "libpython is a shared library")
    if asked == "auto":
        return Mode("process", "this Python has no shared libpython")
    raise EnvironmentUnfit(
        "--mode thread: this Python has no shared libpython that a JVM could load. Install one "
        "(Debian: libpython3; pyenv: build with --enable-shared), or take --mode process"
    )
