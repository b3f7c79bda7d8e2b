"""The account of one worker's epoch: what it has seen since its last mark."""

from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Final, NamedTuple

import numpy as np
from numpy.typing import NDArray

from strandline.events.block import Block
from strandline.events.records import Records
from strandline.features import Rejection
from strandline.learning.rejects import DETAIL_CHARS_MAX, reject_line
from strandline.limits import RELEARN_BYTES_MAX
from strandline.manifest import Prequential, Span
from strandline.metrics.scoring import prequential_sums

BATCH_EVENTS: Final = 4096
"""Sums are taken over batches counted from the mark, never by block, so that a replay, whose
blocks are cut elsewhere, adds up the same sums."""

REJECTS_SHOWN_MAX: Final = 3
"""Rejected events that are told of in words."""

Floats = NDArray[np.float32]


@dataclass(frozen=True, slots=True)
class Part:
    """Some events of one block: `offsets[i]` is the position of `records[i]`."""

    partition: int
    offsets: NDArray[np.int64]
    records: Records

    def sliced(self, begin: int, end: int) -> "Part":
        """Return the events [begin, end)."""
        return Part(self.partition, self.offsets[begin:end], self.records[begin:end])

    def without(self, left_out: Mapping[tuple[int, int], str]) -> "Kept":
        """Return the records but for those at these positions, and rejections of the others."""
        positions = [(self.partition, offset) for offset in self.offsets.tolist()]
        gone = {at: left_out[each] for at, each in enumerate(positions) if each in left_out}
        kept = np.ones(len(positions), np.bool_)
        kept[list(gone)] = False
        records = Records(self.records.data, self.records.begins[kept], self.records.lengths[kept])
        rejections = [Rejection(at, "unlearnable", fault) for at, fault in gone.items()]
        return Kept(records, np.flatnonzero(kept), rejections)


class Kept(NamedTuple):
    """Records of a part, the places in it where they stand, and why the others are left out."""

    records: Records
    places: NDArray[np.int64]
    rejections: list[Rejection]


@dataclass(frozen=True, slots=True)
class _Scores:
    predictions: Floats
    labels: Floats
    weights: Floats


class Epoch:
    """Counts, spans, sums and rejected events since a mark.

    `parts` are the events, kept so that they can be learned again, or None once they take more than
    RELEARN_BYTES_MAX. `causes` counts rejected events by path and reason, `first` are
    partition, offset and fault of the first ones.
    """

    def __init__(self) -> None:
        self.parts: list[Part] | None = []
        self.bytes = 0
        self.spans: list[Span] = []
        self.events = 0
        self.reasons: dict[str, int] = {}
        self.rejects: list[bytes] = []
        self.causes: Counter[tuple[str, str]] = Counter()
        self.first: list[tuple[int, int, str]] = []
        self.prequential: dict[str, list[Prequential]] = {}
        self._times_ms: list[int] = []
        self._scores: dict[str, list[_Scores]] = {}

    @property
    def rejected(self) -> int:
        """The number of events rejected so far."""
        return sum(self.reasons.values())

    @property
    def event_time_ms(self) -> tuple[int, int]:
        """The smallest and the largest event time, (0, 0) without times."""
        return min(self._times_ms, default=0), max(self._times_ms, default=0)

    def take_in(self, block: Block) -> Iterator[Part]:
        """Count a block's events, part by part; no part belongs to two batches."""
        assert len(block.offsets) == len(block.records), "a block has one offset per record"
        self.spans.append(Span(block.partition, block.first, block.end))
        self._times_ms += [at for at in (block.time_first_ms, block.time_last_ms) if at]
        self.bytes += block.records.data.nbytes
        if self.bytes > RELEARN_BYTES_MAX:
            self.parts = None
        begin = 0
        while begin < len(block.records):
            end = min(begin + BATCH_EVENTS - self.events % BATCH_EVENTS, len(block.records))
            part = Part(block.partition, block.offsets[begin:end], block.records[begin:end])
            if self.parts is not None:
                self.parts.append(part)
            self.events += end - begin
            yield part
            begin = end

    def in_batches(self) -> list[list[Part]]:
        """Return the events batch by batch; the events are kept."""
        assert self.parts is not None, "the epoch's events are kept"
        batches: list[list[Part]] = [[]]
        events = 0
        for part in self.parts:
            batches[-1].append(part)
            events += len(part.records)
            if events % BATCH_EVENTS == 0:
                batches.append([])
        return [batch for batch in batches if batch]

    def again(self) -> Iterator[tuple["Epoch", Part]]:
        """Yield a fresh account of the same events with each part of it, as `take_in` does."""
        assert self.parts is not None, "the epoch's events are kept"
        fresh = Epoch()
        fresh.spans, fresh._times_ms = self.spans, self._times_ms
        for part in self.parts:
            fresh.events += len(part.records)
            yield fresh, part

    @property
    def ends_batch(self) -> bool:
        """Whether the events taken in so far fill their last batch."""
        return self.events % BATCH_EVENTS == 0

    def reject(self, part: Part, rejections: Sequence[Rejection]) -> None:
        """Keep what was rejected of a part."""
        for rejection in rejections:
            at = rejection.index
            self.reasons[rejection.reason] = self.reasons.get(rejection.reason, 0) + 1
            self.causes[rejection.path, rejection.reason] += 1
            offset, value = int(part.offsets[at]), part.records[at]
            self.rejects.append(reject_line(part.partition, offset, value, rejection))
            if len(self.first) < REJECTS_SHOWN_MAX:
                detail = rejection.detail[:DETAIL_CHARS_MAX]
                self.first.append((part.partition, offset, f"{rejection.reason}: {detail}"))

    def score(self, learner: str, predictions: Floats, labels: Floats, weights: Floats) -> None:
        """Keep a learner's predictions of some events until their batch ends."""
        self._scores.setdefault(learner, []).append(_Scores(predictions, labels, weights))

    def add_up(self, probabilities: Mapping[str, bool]) -> None:
        """Add up the batch's scores, by learner; whether they are probabilities is given."""
        for name, scores in self._scores.items():
            sums = prequential_sums(
                np.concatenate([each.predictions for each in scores]),
                np.concatenate([each.labels for each in scores]),
                np.concatenate([each.weights for each in scores]),
                probabilities=probabilities[name],
            )
            self.prequential.setdefault(name, []).append(sums)
        self._scores.clear()
