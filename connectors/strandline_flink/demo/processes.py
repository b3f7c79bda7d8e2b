"""The demo's child processes: each in a session of its own, logging to a file, ended in order."""

import os
import signal
import subprocess
import sys
import time
from collections.abc import Sequence
from contextlib import suppress
from pathlib import Path
from typing import Final, Self

from strandline.errors import EnvironmentUnfit
from strandline_flink.jars.cache import cache_dir
from strandline_flink.processes.child_environment import child_environment
from strandline_flink.processes.children import dying_with_parent

STOP_TIMEOUT_S: Final = 30.0
LOG_TAIL_BYTES: Final = 65_536
LAST_WORDS_LINES: Final = 10


class Child:
    """One `strandline` command as a child process.

    It has its own session, so Ctrl-C reaches only the demo, which ends its children in order; it
    is killed if the demo ends in any other way. Its errors go to `NAME.log` in the folder, its
    output to `NAME.out`.
    """

    def __init__(self, name: str, arguments: Sequence[str], folder: Path) -> None:
        self.name = name
        self.log_file = folder / f"{name}.log"
        self.output_file = folder / f"{name}.out"
        self._arguments = list(arguments)
        self._folder = folder
        self._process: subprocess.Popen[bytes] | None = None
        self._asked = False

    def start(self) -> Self:
        """Start the command; the same Python runs it as runs the demo."""
        command = [sys.executable, "-m", "strandline.cli", *self._arguments]
        with self.log_file.open("ab") as log, self.output_file.open("ab") as output:
            self._process = subprocess.Popen(
                dying_with_parent(command),
                stdin=subprocess.DEVNULL,
                stdout=output,
                stderr=log,
                env={
                    **child_environment(self._folder / "tmp"),
                    "STRANDLINE_CACHE": str(cache_dir()),
                },
                start_new_session=True,
            )
        return self

    @property
    def exit_code(self) -> int | None:
        """The exit code, None while it runs."""
        assert self._process is not None, f"{self.name} was not started"
        return self._process.poll()

    def check(self) -> None:
        """Raise `EnvironmentUnfit`, naming the log file, if the process ended with an error.

        A request that comes while Python is still starting ends it by the signal: no error.
        """
        if self.exit_code and not (self._asked and self.exit_code == -signal.SIGTERM):
            raise EnvironmentUnfit(
                f"the demo's {self.name} ended with exit code {self.exit_code}"
                f"{self._last_words()}\nIts log is {self.log_file}"
            )

    def ask_to_end(self) -> None:
        """Send SIGTERM, the request for an orderly end."""
        if self._process is not None and self._process.poll() is None:
            self._asked = True
            self._process.terminate()

    def stop(self) -> None:
        """End the process: SIGTERM, time to finish, SIGKILL for all that is left of its session."""
        if self._process is None:
            return
        self.ask_to_end()
        with suppress(subprocess.TimeoutExpired):
            self._process.wait(STOP_TIMEOUT_S)
        with suppress(ProcessLookupError):
            os.killpg(self._process.pid, signal.SIGKILL)
        self._process.wait()

    def wait(self, timeout_s: float) -> None:
        """Wait until it ends by itself. Raises `EnvironmentUnfit` if it does not, or failed."""
        deadline_s = time.monotonic() + timeout_s
        while self.exit_code is None:
            if time.monotonic() > deadline_s:
                raise EnvironmentUnfit(
                    f"the demo's {self.name} did not end within {timeout_s:.0f} s."
                    f" Its log is {self.log_file}"
                )
            time.sleep(0.02)
        self.check()

    def _last_words(self) -> str:
        """The error that the command printed last, if it printed one."""
        with self.log_file.open("rb") as log:
            log.seek(max(0, self.log_file.stat().st_size - LOG_TAIL_BYTES))
            lines = log.read().decode(errors="replace").splitlines()
        starts = [index for index, line in enumerate(lines) if line.startswith("error: ")]
        return ":\n" + "\n".join(lines[starts[-1] :][:LAST_WORDS_LINES]) if starts else "."
