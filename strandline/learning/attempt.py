"""One pass of the learners over events: what they raise, or make that is not finite, is a fault."""

import logging
import re
from collections.abc import Collection, Mapping, Sequence
from typing import Final

from strandline.features import Batch, Decoder, Rejection
from strandline.learners.base import Learner
from strandline.learning.epoch import Epoch, Part
from strandline.learning.replica import Replica
from strandline.limits import DELTA_BYTES_MAX
from strandline.manifest import Prequential
from strandline.metrics.prequential import add_sums, is_finite
from strandline.tables.changes import TableDelta

_log = logging.getLogger(__name__)
_ADDRESS: Final = re.compile(r"0x[0-9a-fA-F]+")
_TEXT_CHARS_MAX: Final = 200

Tables = Mapping[str, TableDelta]


class Attempt:
    """Learns events on top of a replica's parameters, until it is closed.

    Parameters
    ----------
    decoder, learners, replica
        What to learn with. The learners are bound to the replica's `local` anew.
    epoch
        The account of the events.

    Attributes
    ----------
    fault
        Why what was learned cannot be kept, None while it can. After a fault nothing more is
        learned, and `close` does not return anything that could be kept.
    """

    def __init__(
        self, decoder: Decoder, learners: Mapping[str, Learner], replica: Replica[int], epoch: Epoch
    ) -> None:
        self._decoder, self._learners, self._replica = decoder, learners, replica
        self.epoch = epoch
        self.fault: str | None = None
        self._lost = False
        self.bind()

    def bind(self) -> None:
        """Let the learners begin on `local` as it is now."""
        for learner in self._learners.values():
            learner.bind(self._replica.local)

    def learn(self, part: Part, left_out: Mapping[tuple[int, int], str] | None = None) -> None:
        """Decode and learn some events; those `left_out`, by position, are rejected with why."""
        batch, rejections = self._decode(part, left_out) if left_out else self._decode_all(part)
        self.epoch.reject(part, rejections)
        for name, learner in self._learners.items():
            if batch.rows and self.fault is None:
                self._learn(name, learner, batch)

    def end_batch(self) -> None:
        """Add up the scores of a batch."""
        probabilities = {n: each.predicts == "probability" for n, each in self._learners.items()}
        self.epoch.add_up(probabilities)

    def close(self) -> Tables:
        """End the last batch; return what was learned, as far as learners say. Sets `fault`."""
        self.end_batch()
        tables: dict[str, TableDelta] = {}
        for name, learner in self._learners.items():
            try:
                tables |= learner.take_delta()
            except Exception as error:  # noqa: BLE001 (whatever a learner raises)
                self._lost = True
                self._raised(name, error)
        self.fault = self.fault or self._reason_to_refuse(tables)
        return tables

    def undo(self, tables: Tables) -> None:
        """Set the parameters back to what they were before the attempt, which was closed."""
        if self._lost:
            self._replica.rebuild()
        else:
            self._replica.reset(tables)
        self.bind()

    @property
    def sums(self) -> dict[str, Prequential]:
        """The epoch's sums of predictions, by learner."""
        return {name: add_sums(parts) for name, parts in sorted(self.epoch.prequential.items())}

    def _decode_all(self, part: Part) -> tuple[Batch, Sequence[Rejection]]:
        return self._decoder.decode(part.records)

    def _decode(
        self, part: Part, left_out: Mapping[tuple[int, int], str]
    ) -> tuple[Batch, Sequence[Rejection]]:
        """Walks the events one by one: for the rare epoch that is learned again."""
        kept, places, rejections = part.without(left_out)
        batch, faults = self._decoder.decode(kept)
        rejections += [fault._replace(index=int(places[fault.index])) for fault in faults]
        return batch, sorted(rejections)

    def _learn(self, name: str, learner: Learner, batch: Batch) -> None:
        try:
            predictions = learner.learn(batch)
        except Exception as error:  # noqa: BLE001 (whatever a learner raises)
            self._raised(name, error)
            return
        if predictions is None:
            return
        if len(predictions) != batch.rows:
            self.fault = f"learner {name}: {len(predictions)} predictions for {batch.rows} events"
            return
        self.epoch.score(name, predictions, batch.labels, batch.weights)

    def _raised(self, name: str, error: Exception) -> None:
        if isinstance(error, MemoryError):
            raise error
        _log.debug("learner %s raised", name, exc_info=error)
        text = " ".join(_ADDRESS.sub("0x…", str(error)).split())  # the same in every process
        fault = f"learner {name} raised {type(error).__name__}: {text[:_TEXT_CHARS_MAX]}"
        self.fault = self.fault or fault

    def _reason_to_refuse(self, tables: Tables) -> str | None:
        size_bytes = 0
        for name, delta in tables.items():
            if not delta.finite:
                return f"table {name}: a change is not finite"
            if not self._replica.stays_finite(name, delta):
                return f"table {name}: a parameter becomes a number that is not finite"
            size_bytes += delta.nbytes
        if size_bytes > DELTA_BYTES_MAX:
            return f"{size_bytes} bytes, at most {DELTA_BYTES_MAX} are allowed"
        for name, part in self.sums.items():
            if not is_finite(part):
                return f"learner {name}: a prediction is not finite"
        return None


def positions(parts: Collection[Part]) -> list[tuple[int, int]]:
    """Return the positions of the parts' events: partition and offset."""
    return [(part.partition, offset) for part in parts for offset in part.offsets.tolist()]
