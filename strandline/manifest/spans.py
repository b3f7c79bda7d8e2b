"""Spans of a stream's positions: what a block, a mark and a delta account for."""

from collections.abc import Sequence
from typing import NamedTuple


class Span(NamedTuple):
    """The positions [first, end) of one partition; holes (compacted records) are part of it."""

    partition: int
    first: int
    end: int


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
