"""Records of a text stream, one a line, with a bound on what one line may hold in memory."""

from collections.abc import Iterator
from typing import BinaryIO

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
