"""An event to predict while the demo runs, and what is true about it."""

import time
from dataclasses import dataclass
from typing import Any, Final

import msgspec

from strandline.reading.reader import Reader
from strandline_flink.dev.events import EventStream

KEPT_S: Final = 3.0


@dataclass(frozen=True, slots=True)
class Prediction:
    """A live prediction; `truth` is the probability by which the generator draws the click."""

    version: int
    score: float
    truth: float
    user: str
    item: str


class Sampler:
    """Picks an event of about now every few seconds, and predicts it with the newest model."""

    def __init__(self, seed: int, reader: Reader) -> None:
        self._stream = EventStream(seed, malformed_share=0)
        self._reader = reader
        self._picked_s = 0.0
        self._event: dict[str, Any] = {}
        self._truth = 0.0

    def predict(self, index: int) -> Prediction:
        """Predict an event with about this index among those produced."""
        if time.monotonic() > self._picked_s + KEPT_S:
            self._picked_s = time.monotonic()
            self._event = msgspec.json.decode(self._stream.events(index, index + 1)[0])
            self._truth = float(self._stream.probabilities(index, index + 1)[0])
        version, scores = self._reader.predict([self._event])
        return Prediction(
            version=version,
            score=float(scores[0]),
            truth=self._truth,
            user=self._event["user"]["id"],
            item=self._event["item"]["id"],
        )
