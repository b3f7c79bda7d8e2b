"""What Ctrl-C does to the demo, phase by phase."""

import signal
from collections.abc import Iterator
from contextlib import contextmanager
from enum import Enum, auto
from types import FrameType
from typing import Final

from strandline.cli.signals import Terminated

SIGNALS: Final = (signal.SIGINT, signal.SIGTERM, signal.SIGHUP)


class Phase(Enum):
    """How a signal is taken."""

    STARTING = auto()
    """It gives up at once."""
    RUNNING = auto()
    """The first one asks for an orderly end, the next one gives up."""
    STOPPING = auto()
    """It changes nothing: the children are being ended."""


class Interrupts:
    """Takes Ctrl-C, SIGTERM and SIGHUP while the demo runs."""

    def __init__(self) -> None:
        self.phase = Phase.STARTING
        self.asked = False

    @contextmanager
    def listening(self) -> Iterator[None]:
        """Take the signals, and give them back."""
        before = {number: signal.signal(number, self._take) for number in SIGNALS}
        try:
            yield
        finally:
            for number, handler in before.items():
                signal.signal(number, handler)

    def _take(self, number: int, _frame: FrameType | None) -> None:
        if self.phase is Phase.STOPPING:
            return
        if self.phase is Phase.STARTING or self.asked:
            raise Terminated if number == signal.SIGTERM else KeyboardInterrupt
        self.asked = True
