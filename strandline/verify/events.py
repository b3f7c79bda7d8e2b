"""Where the events of a recorded span are read again."""

from collections.abc import Iterator
from itertools import islice
from typing import Final, Protocol

import numpy as np

from strandline.errors import SourceBehind
from strandline.events.block import Block
from strandline.events.records import Records, Value

BLOCK_EVENTS: Final = 4096


class EventSource(Protocol):
    """The events of one stream. Spans of a partition are asked for in ascending order."""

    def begin(self, partition: int) -> int:
        """Return the first position that can still be read."""
        ...

    def blocks(self, partition: int, first: int, end: int) -> Iterator[Block]:
        """Yield the events of [first, end) in blocks that together cover the span."""
        ...


class RecordSource:
    """Events of a stream with one partition, where an event's number is its position.

    Parameters
    ----------
    records
        The stream from its first event on.
    name
        What errors call it.
    """

    def __init__(self, records: Iterator[Value], name: str) -> None:
        self._records, self._name = records, name
        self._at = 0

    def begin(self, partition: int) -> int:  # noqa: ARG002 (there is one partition)
        return 0

    def blocks(self, partition: int, first: int, end: int) -> Iterator[Block]:
        assert first >= self._at, "spans are asked for in ascending order"
        skipped = sum(1 for _ in islice(self._records, first - self._at))
        self._need(first, self._at + skipped)
        self._at = first
        while self._at < end:
            records = list(islice(self._records, min(BLOCK_EVENTS, end - self._at)))
            begin, self._at = self._at, self._at + len(records)
            self._need(end if not records else self._at, self._at)
            offsets = np.arange(begin, self._at, dtype=np.int64)
            yield Block(partition, begin, self._at, offsets, Records.of(records))

    def _need(self, wanted: int, there: int) -> None:
        if there < wanted:
            raise SourceBehind(
                f"{self._name} has {there} events, the store has learned {wanted} of it: give the"
                " file that the stream was learned from"
            )
