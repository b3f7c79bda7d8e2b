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

__all__ = [
    "ONE_STREAM",
    "OPERATIONS",
    "Geometry",
    "Merging",
    "Part",
    "compose",
    "merge_table",
]
