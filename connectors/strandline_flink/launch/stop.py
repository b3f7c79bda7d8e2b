"""What SIGTERM and Ctrl-C ask of a run that has begun, and what that makes of its exit code."""

import os
import signal
import time
from collections.abc import Iterator
from contextlib import contextmanager
from types import FrameType
from typing import Final

from strandline.cli.signals import EXIT_CODES

SIGNALS: Final = (signal.SIGTERM, signal.SIGINT)


class Stop:
    """SIGTERM or Ctrl-C: once asks for a stop after one more version, twice for one now."""

    def __init__(self) -> None:
        self.asked = 0
        self.at_ms = 0
        self._number = signal.SIGTERM

    @contextmanager
    def listening(self) -> Iterator[None]:
        """Take the signals, and give them back."""
        before = {number: signal.signal(number, self._ask) for number in SIGNALS}
        try:
            yield
        finally:
            for number, handler in before.items():
                signal.signal(number, handler)

    def exit_code(self, *, done: bool) -> int:
        """0 if the run did what was asked of it, else the exit code of the signal that ended it."""
        return 0 if done else EXIT_CODES[self._number]

    def _ask(self, number: int, _frame: FrameType | None) -> None:
        self.asked += 1
        self._number = signal.Signals(number)
        self.at_ms = self.at_ms or time.time_ns() // 1_000_000
        if self.asked > 1:  # at any moment of the end, and whatever is printed meanwhile
            os.write(2, b"stopping now\n")
