"""What a picture on a terminal needs around it."""

import sys
import termios
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Final

LOCAL_MODES: Final = 3  # the index of c_lflag in what tcgetattr returns


@contextmanager
def silent_controls() -> Iterator[None]:
    """Keep the terminal from printing ^C into the picture."""
    if not sys.stdin.isatty():
        yield
        return
    before = termios.tcgetattr(sys.stdin)
    quiet = before.copy()
    quiet[LOCAL_MODES] &= ~termios.ECHOCTL
    termios.tcsetattr(sys.stdin, termios.TCSANOW, quiet)
    try:
        yield
    finally:
        termios.tcsetattr(sys.stdin, termios.TCSANOW, before)
