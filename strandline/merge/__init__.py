"""How the workers' deltas of one epoch become one change of the parameters."""

from strandline.merge.rules import (
    ONE_STREAM,
    OPERATIONS,
    Geometry,
    Merging,
    Part,
    compose,
    merge_table,
)

RULES: dict[str, tuple[str, ...]] = {
    "ftrl": ("matched", "sum", "mean"),
    "counts": ("sum",),
    "sklearn": ("mean", "sum"),
}
"""Rules that make sense, by the learner's type in the spec; the first is the default.

Counts are exact only as a sum; `mean` and `matched` are for learners that follow gradients.
"""

__all__ = [
    "ONE_STREAM",
    "OPERATIONS",
    "RULES",
    "Geometry",
    "Merging",
    "Part",
    "compose",
    "merge_table",
]
