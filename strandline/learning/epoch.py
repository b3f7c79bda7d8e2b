"""The account of one worker's epoch: what it has seen since its last mark."""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Final

import numpy as np
from numpy.typing import NDArray

from strandline.events.block import Block
from strandline.events.records import Records
from strandline.features import Rejection
from strandline.learning.rejects import reject_line
from strandline.manifest import Prequential, Span
from strandline.metrics.scoring import prequential_sums

BATCH_EVENTS: Final = 4096
"""Sums are taken over batches counted from the mark, never by block, so that a replay, whose
blocks are cut elsewhere, adds up the same sums."""

Floats = NDArray[np.float32]


@dataclass(frozen=True, slots=True)
class Part:
    """Some events of one block: `offsets[i]` is the position of `records[i]`."""

    partition: int
    offsets: NDArray[np.int64]
    records: Records


@dataclass(frozen=True, slots=True)
class _Scores:
    predictions: Floats
    labels: Floats
    weights: Floats


class Epoch:
    """Counts, spans, sums and rejected events since a mark."""

    def __init__(self) -> None:
        self.spans: list[Span] = []
        self.events = 0
        self.reasons: dict[str, int] = {}
        self.rejects: list[bytes] = []
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
        begin = 0
        while begin < len(block.records):
            end = min(begin + BATCH_EVENTS - self.events % BATCH_EVENTS, len(block.records))
            self.events += end - begin
            yield Part(block.partition, block.offsets[begin:end], block.records[begin:end])
            begin = end

    @property
    def ends_batch(self) -> bool:
        """Whether the events taken in so far fill their last batch."""
        return self.events % BATCH_EVENTS == 0

    def reject(self, part: Part, rejections: Sequence[Rejection]) -> None:
        """Keep what was rejected of a part."""
        for rejection in rejections:
            at = rejection.index
            self.reasons[rejection.reason] = self.reasons.get(rejection.reason, 0) + 1
            offset, value = int(part.offsets[at]), part.records[at]
            self.rejects.append(reject_line(part.partition, offset, value, rejection))

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
