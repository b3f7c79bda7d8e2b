"""Records of a text stream, one a line, with a bound on what one line may hold in memory."""

import sys
from collections.abc import Iterator
from contextlib import ExitStack
from typing import BinaryIO

import typer

from strandline.cli.output import printable
from strandline.limits import EVENT_BYTES_MAX


def read_lines(stream: BinaryIO) -> Iterator[bytes]:
    r"""Yield every line without its newline.

    Of a line longer than any event may be only the first EVENT_BYTES_MAX + 1 bytes are kept: too
    long to be learned whatever the spec's limit, and counted as one record all the same.

    >>> import io
    >>> list(read_lines(io.BytesIO(b"a\n\nb")))
    [b'a', b'', b'b']
    """
    while line := stream.readline(EVENT_BYTES_MAX + 1):
        complete = line.endswith(b"\n")
        yield line.removesuffix(b"\n")
        while not complete and len(line) == EVENT_BYTES_MAX + 1:
            line = stream.readline(EVENT_BYTES_MAX + 1)
            complete = line.endswith(b"\n")


def open_input(path: str, stack: ExitStack, hint: str) -> BinaryIO:
    """Open a file of events, - is stdin; BadParameter names the argument if it cannot be read."""
    if path == "-":
        return sys.stdin.buffer
    try:
        return stack.enter_context(open(path, "rb"))
    except OSError as error:
        raise typer.BadParameter(
            f"expected a file of events that can be read, got {printable(path)}: {error.strerror}",
            param_hint=hint,
        ) from None
