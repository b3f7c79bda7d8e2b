"""The account of one worker's epoch: what it has seen since its last mark."""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from typing import Final

import numpy as np
from numpy.typing import NDArray

from strandline.block import Block, Span
from strandline.features import Rejection
from strandline.manifest import Prequential
from strandline.rejects import reject_line

BATCH_EVENTS: Final = 4096
"""Events are decoded and learned in batches counted from the mark, never by block, so that a
replay, whose blocks are cut elsewhere, adds up the same sums."""


@dataclass(frozen=True, slots=True)
class Records:
    """Events and where they stand: one entry of `partitions` and `offsets` per value."""

    values: Sequence[bytes | None] = ()
    partitions: NDArray[np.int64] = field(default_factory=lambda: np.empty(0, np.int64))
    offsets: NDArray[np.int64] = field(default_factory=lambda: np.empty(0, np.int64))

    def slice(self, begin: int, end: int) -> "Records":
        """Return the records [begin, end)."""
        part = slice(begin, end)
        return Records(self.values[part], self.partitions[part], self.offsets[part])

    def extend(self, block: Block) -> "Records":
        """Return these records and then the block's."""
        partitions = np.full(len(block.offsets), block.partition, np.int64)
        return Records(
            [*self.values, *block.records],
            np.concatenate([self.partitions, partitions]),
            np.concatenate([self.offsets, block.offsets]),
        )


class Epoch:
    """Counts, spans and rejected events since a mark, and the records not yet learned."""

    def __init__(self) -> None:
        self.spans: list[Span] = []
        self.events = 0
        self.reasons: dict[str, int] = {}
        self.rejects: list[bytes] = []
        self.prequential: dict[str, list[Prequential]] = {}
        self._times_ms: list[int] = []
        self._waiting = Records()

    @property
    def rejected(self) -> int:
        """The number of events rejected so far."""
        return sum(self.reasons.values())

    @property
    def event_time_ms(self) -> tuple[int, int]:
        """The smallest and the largest event time, (0, 0) without times."""
        return min(self._times_ms, default=0), max(self._times_ms, default=0)

    def take_in(self, block: Block) -> Iterator[Records]:
        """Append a block; yield every batch that it fills."""
        assert len(block.offsets) == len(block.records), "a block has one offset per record"
        self.spans.append(Span(block.partition, block.first, block.end))
        self._times_ms += [at for at in (block.time_first_ms, block.time_last_ms) if at]
        records = self._waiting.extend(block)
        whole = len(records.values) // BATCH_EVENTS * BATCH_EVENTS
        self._waiting = records.slice(whole, len(records.values))
        for begin in range(0, whole, BATCH_EVENTS):
            yield records.slice(begin, begin + BATCH_EVENTS)

    def rest(self) -> Records:
        """Return the records of the batch that the mark cuts short."""
        rest, self._waiting = self._waiting, Records()
        return rest

    def reject(self, records: Records, rejections: Sequence[Rejection]) -> None:
        """Keep what was rejected of a batch."""
        for rejection in rejections:
            at = rejection.index
            self.reasons[rejection.reason] = self.reasons.get(rejection.reason, 0) + 1
            self.rejects.append(
                reject_line(
                    int(records.partitions[at]),
                    int(records.offsets[at]),
                    records.values[at],
                    rejection,
                )
            )
