"""What one version says about itself, in few numbers."""

import math
from collections.abc import Callable, Mapping
from typing import Final, NamedTuple

from msgspec import Struct, structs

from strandline.cli.output import ratio
from strandline.manifest import Kind, Manifest, Prequential, TrainBody


class Figures(Struct, frozen=True, kw_only=True):
    """The figures of one version; maps go from the name of a learner that predicts."""

    version: int
    kind: Kind
    stream: str | None
    time_ms: int
    events: int = 0
    learned: int = 0
    rejected: int = 0
    refused: int = 0
    rows: int = 0
    log_loss: dict[str, float | None] = {}
    calibration: dict[str, float | None] = {}
    rmse: dict[str, float | None] = {}


def figures_of(manifest: Manifest) -> Figures:
    """Return the figures of a version."""
    common = Figures(
        version=manifest.version,
        kind=manifest.kind,
        stream=manifest.stream,
        time_ms=manifest.time_ms,
    )
    body = manifest.body
    if not isinstance(body, TrainBody):
        return common
    return structs.replace(
        common,
        events=body.counts.events,
        learned=body.counts.learned,
        rejected=body.counts.rejected,
        refused=body.counts.refused,
        rows=sum(sum(file.rows.values()) for file in body.files),
        log_loss={name: log_loss(sums) for name, sums in body.prequential.items()},
        calibration={name: calibration(sums) for name, sums in body.prequential.items()},
        rmse={name: rmse(sums) for name, sums in body.prequential.items()},
    )


def log_loss(sums: Prequential) -> float | None:
    """Mean log-loss in nats per unit of weight, of probabilities predicted before learning."""
    return sums.log_loss / sums.weight if sums.weight > 0 and sums.log_loss is not None else None


def rmse(sums: Prequential) -> float | None:
    """Root of the mean squared error, in the label's unit, of predictions made before learning."""
    return math.sqrt(sums.squared_error / sums.weight) if sums.weight > 0 else None


def calibration(sums: Prequential) -> float | None:
    """Predicted positives per positive that came: 1 is calibrated. None without positives."""
    return sums.predictions / sums.labels if sums.labels > 0 else None


class Measure(NamedTuple):
    """One measure of predictions, and how many decimals of it are shown."""

    name: str
    of: Callable[[Prequential], float | None]
    digits: int


OF_PROBABILITIES: Final = (
    Measure("log-loss", log_loss, 4),
    Measure("calibration", calibration, 3),
)
OF_NUMBERS: Final = (Measure("RMSE", rmse, 4),)


def measures(sums: Prequential) -> tuple[Measure, ...]:
    """Return what predictions are measured by: probabilities, or classes and numbers."""
    return OF_NUMBERS if sums.log_loss is None else OF_PROBABILITIES


def errors(prequential: Mapping[str, Prequential]) -> dict[str, str]:
    """Return the first measure of each learner as text, such as "log-loss ctr" -> "0.4821"."""
    found = {}
    for name, sums in sorted(prequential.items()):
        first = measures(sums)[0]
        found[f"{first.name} {name}"] = ratio(first.of(sums), first.digits)
    return found
