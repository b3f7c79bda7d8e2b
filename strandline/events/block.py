"""What the source hands to a worker: blocks of events, and marks between epochs."""

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from strandline.events.records import Records
from strandline.manifest import Span


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
