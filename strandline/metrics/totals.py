"""What versions add up to: counts of events, bytes, and the quality of predictions."""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field

from strandline.manifest import Body, Prequential, TrainBody
from strandline.metrics.prequential import add_sums


@dataclass(frozen=True, slots=True, kw_only=True)
class Totals:
    """Totals over versions: `versions` counts commits, `bytes` those of their delta files.

    `reasons` counts the rejected events; `prequential` sums by learner over predictions made
    before learning.
    """

    versions: int = 0
    events: int = 0
    learned: int = 0
    rejected: int = 0
    refused: int = 0
    files: int = 0
    bytes: int = 0
    reasons: Mapping[str, int] = field(default_factory=dict)
    prequential: Mapping[str, Prequential] = field(default_factory=dict)


def totals_of(body: Body) -> Totals:
    """Return the totals of one version; nothing but a commit has any."""
    if not isinstance(body, TrainBody):
        return Totals()
    return Totals(
        versions=1,
        events=body.counts.events,
        learned=body.counts.learned,
        rejected=body.counts.rejected,
        refused=body.counts.refused,
        files=len(body.files),
        bytes=sum(file.bytes for file in body.files),
        reasons=body.rejects.reasons,
        prequential=body.prequential,
    )


def add_totals(parts: Iterable[Totals]) -> Totals:
    """Add totals of disjoint sets of versions, in the order given.

    >>> both = add_totals([Totals(versions=1, events=3), Totals(versions=1, reasons={"empty": 2})])
    >>> both.versions, both.events, both.reasons
    (2, 3, {'empty': 2})
    """
    listed = list(parts)
    reasons = {name for each in listed for name in each.reasons}
    learners = {name for each in listed for name in each.prequential}
    return Totals(
        versions=sum(each.versions for each in listed),
        events=sum(each.events for each in listed),
        learned=sum(each.learned for each in listed),
        rejected=sum(each.rejected for each in listed),
        refused=sum(each.refused for each in listed),
        files=sum(each.files for each in listed),
        bytes=sum(each.bytes for each in listed),
        reasons={
            name: sum(each.reasons.get(name, 0) for each in listed) for name in sorted(reasons)
        },
        prequential={
            name: add_sums(each.prequential[name] for each in listed if name in each.prequential)
            for name in sorted(learners)
        },
    )
