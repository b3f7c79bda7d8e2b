"""Merge rules that a bench compares: the library's, and candidates that were weighed against them.

`matched` makes w' = r (w + Σ dw) + (1 - r) w̄ and n' = n + γ² Q, see `strandline.merge.rules`. Its
candidates differ in three places: how much a row's touches count in S = η Q + (k/m)^exponent T,
which power of γ weighs Q (0 was decision 9's), and whether what was merged since the workers
started is given back (`late` moves w' = w + γ Σ dw).
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Final

import numpy as np

from bench.merge_simulation import Rule
from strandline.learners.ftrl import Ftrl
from strandline.merge import WorkerChange, merge_table
from strandline.merge.gathering import gather_deltas
from strandline.merge.rules import sum_share
from strandline.tables.changes import Changes
from strandline.tables.table import Table


@dataclass(frozen=True, slots=True)
class _Named:
    """The rule of the one table."""

    rules: Mapping[str, str]


def library(name: str) -> Rule:
    """Return a rule of the library."""

    def rule(learner: Ftrl, replica: Table, parts: Sequence[WorkerChange], events: int) -> Changes:
        named = learner if name == "matched" else _Named({replica.schema.name: name})
        return merge_table(named, replica.schema, replica, parts, events)

    return rule


def matched_like(exponent: float = 0.25, power: int = 2, *, gives_back: bool = True) -> Rule:
    """Return a candidate."""

    def rule(learner: Ftrl, replica: Table, parts: Sequence[WorkerChange], events: int) -> Changes:
        gathered = gather_deltas([part.delta for part in parts], replica.schema)
        before = replica.gather(gathered.rows)
        z, n = before[:, 0].astype(np.float64), before[:, 1].astype(np.float64)
        summed, workers = gathered.total(), gathered.workers
        q, w = summed[:, 1], learner.weights(before)
        touching = gathered.stat_total("touches") / events
        contraction = touching**exponent * gathered.stat_total("contraction")
        r = sum_share(learner.rate(n + q / workers) * q + contraction)
        share = r + (1 - r) / workers
        moved = w + share * gathered.stat_total("dw")
        if gives_back:
            moved -= (1 - r) * (w - gathered.stat_total("start") / workers)
        q = share**power * q
        change = np.column_stack((learner.state(moved, n + q) - z, q))
        added = (workers == 1) | (moved == 0)
        change[added] = summed[added]
        return Changes(gathered.rows, change.astype(np.float32))

    return rule


RULES: Final[Mapping[str, Rule]] = {name: library(name) for name in ("sum", "mean", "matched")}
CANDIDATES: Final[Mapping[str, Rule]] = {
    "n + Q": matched_like(power=0),
    "n + γ Q": matched_like(power=1),
    "exponent 0": matched_like(0.0),
    "exponent 1/2": matched_like(0.5),
    "late": matched_like(gives_back=False),
}
