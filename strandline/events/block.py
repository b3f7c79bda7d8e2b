"""What the source hands to a worker: blocks of events, and marks between epochs."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from strandline.events.records import Records


class Span(NamedTuple):
    """The positions [first, end) of one partition; holes (compacted records) are part of it."""

    partition: int
    first: int
    end: int


@dataclass(frozen=True, slots=True)
class Block:
    """Events of one partition, in order, and the positions [first, end) that they account for.

    `offsets[i]` is the position of `records[i]`, ascending within [first, end); a record is None
    where the stream holds a null value. Times are the records' own, in ms since 1970 (0: none).
    """

    partition: int
    first: int
    end: int
    offsets: NDArray[np.int64]
    records: Records
    time_first_ms: int = 0
    time_last_ms: int = 0


@dataclass(frozen=True, slots=True)
class Mark:
    """The end of an epoch at one worker's input.

    `moves` has one span for each partition that sent a block since the mark before.
    `checkpoint` is Flink's number of the epoch's end, None outside Flink. `time_ms` is when it was
    made, in ms since 1970.
    """

    checkpoint: int | None
    moves: tuple[Span, ...]
    time_ms: int = 0


def join_spans(spans: Sequence[Span]) -> tuple[Span, ...]:
    """Join neighbours of one partition where the second begins at the first one's end.

    >>> join_spans([Span(0, 0, 5), Span(0, 5, 9), Span(1, 0, 2), Span(0, 9, 10)])
    (Span(partition=0, first=0, end=9), Span(partition=1, first=0, end=2),
     Span(partition=0, first=9, end=10))
    """
    joined: list[Span] = []
    for span in spans:
        last = joined[-1] if joined else None
        if last is not None and last.partition == span.partition and last.end == span.first:
            joined[-1] = last._replace(end=span.end)
        else:
            joined.append(span)
    return tuple(joined)
