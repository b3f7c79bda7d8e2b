"""What SIGTERM and Ctrl-C do to a command: an orderly end and one word, from its first moment on.

While modules are imported nothing is begun, so the process ends at once. From then on both raise
what unwinds the command. A command with an order of its own, such as `run`, takes them over.
"""

import os
import signal
from types import FrameType
from typing import Final, NoReturn

EXIT_CODES: Final = {signal.SIGINT: 130, signal.SIGTERM: 143}
WORDS: Final = {signal.SIGINT: "interrupted", signal.SIGTERM: "terminated"}


class Terminated(BaseException):
    """SIGTERM, raised in the main thread as Ctrl-C is."""


def end_at_once() -> None:
    """Answer from here on, before the imports that take long."""
    for number in EXIT_CODES:
        if signal.getsignal(number) is not signal.SIG_IGN:  # a shell's background ignores Ctrl-C
            signal.signal(number, _end)


def end_in_order() -> None:
    """Raise from here on; leave alone what is ignored or was taken over."""
    for number, handler in ((signal.SIGINT, signal.default_int_handler), (signal.SIGTERM, _raise)):
        if signal.getsignal(number) is _end:
            signal.signal(number, handler)


def _end(number: int, _frame: FrameType | None) -> NoReturn:
    word = WORDS[signal.Signals(number)]
    os.write(2, f"{word} before anything was begun\n".encode())
    os._exit(EXIT_CODES[signal.Signals(number)])


def _raise(_number: int, _frame: FrameType | None) -> NoReturn:
    raise Terminated
