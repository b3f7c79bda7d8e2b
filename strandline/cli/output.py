"""How commands print: text for people, JSON for programs, nothing a terminal would obey."""

import json
import os
import sys
from collections.abc import Mapping
from typing import Any

from rich.console import Console

MISSING = "–"
PREVIEW_CHARS_MAX = 200
_AGES = ((86_400_000, "d"), (3_600_000, "h"), (60_000, "min"), (1000, "s"))


class Output(Console):
    """A console that leaves it to the command's edge what a closed pipe means."""

    def on_broken_pipe(self) -> None:
        """Raise the error that rich has caught."""
        raise BrokenPipeError


def out() -> Console:
    """The console for results: plain text when the output is not a terminal.

    Nothing printed is read as markup. Piped output is as wide as its content needs.
    """
    return Output(width=None if sys.stdout.isatty() else 400, **plain())


def err(*, soft_wrap: bool = True) -> Console:
    """The console for progress and errors. A picture that is drawn anew needs lines that fit."""
    return Console(stderr=True, soft_wrap=soft_wrap, **plain())


def plain() -> dict[str, Any]:
    """What every console is made with: no markup, and under NO_COLOR no style, dimmed or bold."""
    styled = {"color_system": None} if os.environ.get("NO_COLOR") else {}
    return {"highlight": False, "markup": False, "emoji": False, **styled}


def print_json(document: Any) -> None:
    """Print one JSON document: indented on a terminal, one line elsewhere."""
    indent = 2 if sys.stdout.isatty() else None
    print(json.dumps(document, indent=indent, allow_nan=False))


def print_json_line(document: Mapping[str, Any]) -> None:
    """Print one line of a stream of JSON documents; whoever reads the pipe has it at once."""
    print(json.dumps(document, allow_nan=False), flush=True)


def printable(text: str, *, keep: str = "") -> str:
    r"""Return the text with everything escaped that a terminal could take for a command.

    >>> printable("caf\u00e9 \x1b[31m")
    'café \\x1b[31m'
    """
    return "".join(
        char if char.isprintable() or char in keep else char.encode("unicode_escape").decode()
        for char in text
    )


def preview(data: bytes) -> str:
    """Return the beginning of an event's bytes, safe to print."""
    text = printable(data[: 4 * PREVIEW_CHARS_MAX].decode("utf-8", errors="backslashreplace"))
    return text if len(text) <= PREVIEW_CHARS_MAX else text[:PREVIEW_CHARS_MAX] + "…"


def count(number: int) -> str:
    """Return the number with its thousands apart.

    >>> count(1234567)
    '1,234,567'
    """
    return f"{number:,}"


def plural(number: int, noun: str) -> str:
    """Return the number with its noun.

    >>> plural(1, "version"), plural(2000, "event")
    ('1 version', '2,000 events')
    """
    return f"{count(number)} {noun}" if number == 1 else f"{count(number)} {noun}s"


def ratio(value: float | None, digits: int = 4) -> str:
    """Return the value with this many decimals, or a dash if there is none."""
    return MISSING if value is None else f"{value:.{digits}f}"


def age(time_ms: int, now_ms: int) -> str:
    """Return how long ago a time was, in its largest whole unit; a dash without a time.

    >>> age(1_000, 181_500), age(1_000, 1_250), age(0, 5)
    ('3 min', '0 s', '–')
    """
    if time_ms == 0:
        return MISSING
    passed_ms = max(0, now_ms - time_ms)
    for unit_ms, unit in _AGES:
        if passed_ms >= unit_ms:
            return f"{passed_ms // unit_ms} {unit}"
    return "0 s"


def byte_size(size_bytes: int) -> str:
    """Return a size in its largest fitting unit.

    >>> byte_size(999), byte_size(1_234_567)
    ('999 B', '1.2 MB')
    """
    for unit, scale in (("GB", 1e9), ("MB", 1e6), ("kB", 1e3)):
        if size_bytes >= scale:
            return f"{size_bytes / scale:.1f} {unit}"
    return f"{size_bytes} B"
