"""What a contender did, and what it took."""

from typing import NamedTuple


class Speed(NamedTuple):
    """Events learned, the time from the first one read to the end, and the work it was.

    `log_loss` is of predictions made before each event was learned, in nats; `cpu_s` is of all the
    contender's processes, start-up included, the broker's not.
    """

    events: int
    seconds: float
    log_loss: float
    cpu_s: float

    @property
    def events_per_s(self) -> float:
        """Events a second."""
        return self.events / self.seconds

    @property
    def cpu_us_per_event(self) -> float:
        """Processor time of an event, in microseconds."""
        return 1e6 * self.cpu_s / self.events
