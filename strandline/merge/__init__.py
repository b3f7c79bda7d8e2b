"""How the workers' deltas of one epoch become one change of the parameters."""

from strandline.merge.rules import (
    AS_IT_IS,
    ONE_STREAM,
    OPERATIONS,
    Geometry,
    Merging,
    WorkerChange,
    check_merged,
    compose,
    merge_table,
)

__all__ = [
    "AS_IT_IS",
    "ONE_STREAM",
    "OPERATIONS",
    "Geometry",
    "Merging",
    "WorkerChange",
    "check_merged",
    "compose",
    "merge_table",
]
