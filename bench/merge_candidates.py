"""Merge rules that a bench compares: the library's, and candidates that were weighed against them.

`matched` moves w' = w + γ Σ dw - a (w - w̄), see `strandline.merge.rules`. Its candidates differ in
two places: whether what was merged since the workers started is given back (`late` leaves a = 0),
and how much a row's touches count in S = η Q + (k/m)^exponent T.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Final

import numpy as np

from bench.merge_simulation import Rule
from strandline.changes import Changes
from strandline.learners.ftrl import Ftrl
from strandline.merge import Part, merge_table
from strandline.merge.gathering import gather_deltas
from strandline.merge.rules import matched_share
from strandline.tables import Table


@dataclass(frozen=True, slots=True)
class _Named:
    """The rule of the one table."""

    rules: Mapping[str, str]


def library(name: str) -> Rule:
    """Return a rule of the library."""

    def rule(learner: Ftrl, replica: Table, parts: Sequence[Part], events: int) -> Changes:
        named = learner if name == "matched" else _Named({replica.schema.name: name})
        return merge_table(named, replica.schema, replica, parts, events)

    return rule


def matched_like(exponent: float, *, gives_back: bool) -> Rule:
    """Return a candidate."""

    def rule(learner: Ftrl, replica: Table, parts: Sequence[Part], events: int) -> Changes:
        gathered = gather_deltas([part.delta for part in parts], replica.schema)
        before = replica.gather(gathered.rows)
        z, n = before[:, 0].astype(np.float64), before[:, 1].astype(np.float64)
        change, workers = gathered.total(), gathered.workers
        q, w = change[:, 1], learner.weights(before)
        touching = gathered.stat_total("touches") / events
        s = learner.rate(n + q) * q + touching**exponent * gathered.stat_total("contraction")
        moved = w + matched_share(s, workers) * gathered.stat_total("dw")
        if gives_back:
            moved += np.expm1(-s) * (w - gathered.stat_total("start") / workers)
        added = (workers == 1) | (moved == 0)
        change[:, 0] = np.where(added, change[:, 0], learner.state(moved, n + q) - z)
        return Changes(gathered.rows, change.astype(np.float32))

    return rule


RULES: Final[Mapping[str, Rule]] = {name: library(name) for name in ("sum", "mean", "matched")}
CANDIDATES: Final[Mapping[str, Rule]] = {
    "late": matched_like(0.5, gives_back=False),
    "exponent 0": matched_like(0.0, gives_back=True),
    "exponent 3/4": matched_like(0.75, gives_back=True),
}
