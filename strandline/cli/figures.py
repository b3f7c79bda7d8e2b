"""What one version says about itself, in few numbers."""

from msgspec import Struct, structs

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
    )


def log_loss(sums: Prequential) -> float | None:
    """Mean log-loss in nats per unit of weight, of probabilities predicted before learning."""
    return sums.log_loss / sums.weight if sums.weight > 0 and sums.log_loss is not None else None


def squared_error(sums: Prequential) -> float | None:
    """Mean squared error per unit of weight, of predictions made before learning."""
    return sums.squared_error / sums.weight if sums.weight > 0 else None


def calibration(sums: Prequential) -> float | None:
    """Predicted positives per positive that came: 1 is calibrated. None without positives."""
    return sums.predictions / sums.labels if sums.labels > 0 else None
