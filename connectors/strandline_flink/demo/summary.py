"""What a demo has shown, as numbers."""

import math
from pathlib import Path

from msgspec import Struct

from strandline.cli.figures import calibration, log_loss
from strandline.manifest import Prequential
from strandline_flink.demo.watch import Watch, percentile
from strandline_flink.dev.reading import Difference


class Freshness(Struct, frozen=True, kw_only=True):
    """From an event written to Kafka until a version with it was seen, in milliseconds.

    Of each version's last event; the first version, which waits for the job's start, is left out.
    """

    p50: int | None
    p95: int | None


class Summary(Struct, frozen=True, kw_only=True):
    """The demo's last word. Log-losses in nats per event, made before each event was learned.

    `lost` and `duplicated` compare the counts per item that the head version holds with an
    independent reading of the topic (events, and clicks where those differ more); `unread` are
    the topic's events after head's positions. `constant_log_loss` is what predicting the mean
    label for every event gives.
    """

    produced: int
    learned: int
    rejected: int
    refused: int
    lost: int
    duplicated: int
    unread: int
    versions: int
    head: int
    log_loss: float | None
    constant_log_loss: float | None
    improvement: float | None
    calibration: float | None
    freshness_ms: Freshness
    events_per_s: float
    seconds: float
    store: str
    folder: str

    @property
    def exact(self) -> bool:
        """Whether the head version holds every event of the topic exactly once."""
        return not (self.lost or self.duplicated or self.unread)


def summarize(
    watch: Watch,
    difference: Difference,
    *,
    produced: int,
    unread: int,
    seconds: float,
    folder: Path,
) -> Summary:
    """Return the summary of a demo that has come to its end."""
    loss, constant = log_loss(watch.sums), constant_log_loss(watch.sums)
    return Summary(
        produced=produced,
        learned=watch.total.learned,
        rejected=watch.total.rejected,
        refused=watch.total.refused,
        lost=max(difference.lost, difference.positives_lost),
        duplicated=max(difference.duplicated, difference.positives_duplicated),
        unread=unread,
        versions=watch.total.versions,
        head=watch.version,
        log_loss=loss,
        constant_log_loss=constant,
        improvement=1 - loss / constant if loss is not None and constant else None,
        calibration=calibration(watch.sums),
        freshness_ms=Freshness(
            p50=percentile(watch.freshness_ms, 0.5), p95=percentile(watch.freshness_ms, 0.95)
        ),
        events_per_s=round(watch.flow_per_s, 1),
        seconds=round(seconds, 1),
        store=watch.store.url,
        folder=str(folder),
    )


def constant_log_loss(sums: Prequential) -> float | None:
    """The entropy of the mean label, in nats; None without events."""
    if sums.weight <= 0:
        return None
    mean = sums.labels / sums.weight
    return -sum(p * math.log(p) for p in (mean, 1 - mean) if p > 0)
