"""Making msgspec's structs fit for threads."""

from typing import Any

import msgspec


def ready(*types: Any) -> None:
    """Let msgspec read the fields of these types now; a module calls it for those it decodes.

    msgspec reads a struct's fields when it first decodes one. That runs Python code, so another
    thread that decodes the same type meanwhile sees them half read, and the process crashes
    (msgspec 0.22). A module is imported by one thread only.
    """
    for each in types:
        msgspec.json.Decoder(each)
