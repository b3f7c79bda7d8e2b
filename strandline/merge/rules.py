"""Merge rules: θ' from θ and what every worker learned in one epoch.

Sums run over workers in worker order in float64 (int64 tables: in int64), and the change is
rounded once to the table's type, so a replay makes the same bits. Symbols, for one row j::

    d_ij   change of worker i          m_i   events of worker i       m    events of the epoch
    c_j    workers that touched j      k_j   events that touched j    Q_j  Σ_i dn_ij = Σ g²
    T_j    Σ over those events of their contraction (learners/ftrl_kernel.py)
"""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Final, Protocol, runtime_checkable

import numpy as np
from numpy.typing import NDArray

from strandline.errors import MergeError
from strandline.kernels.arrays import read_only
from strandline.merge.gathering import (
    Gathered,
    accumulator,
    first_pieces,
    gather_deltas,
    largest_pieces,
    last_pieces,
    sum_pieces,
)
from strandline.tables import row_kernels
from strandline.tables.changes import Changes, TableDelta, Values
from strandline.tables.sorted_rows import union_of_rows
from strandline.tables.table import Operation, Table, TableSchema, changed_rows

Floats = NDArray[np.float64]


@dataclass(frozen=True, slots=True)
class WorkerChange:
    """What one worker learned in the epoch: its index, its learned events, its composed delta."""

    worker: int
    events: int
    delta: TableDelta


class Merging(Protocol):
    """What a merge asks of every learner: the rule of each table."""

    @property
    def rules(self) -> Mapping[str, str]: ...


@runtime_checkable
class Geometry(Protocol):
    """What `matched` asks of a learner whose rows are [z, n]: how they relate to weights."""

    def weights(self, zn: Values) -> Floats:
        """Return w of the rows [k, 2]."""

    def rate(self, n: Values) -> Floats:
        """Return the learning rate η at n."""

    def state(self, w: Floats, n: Values) -> Floats:
        """Return the z that gives w at n; w = 0 has many, 0 is returned."""


@runtime_checkable
class Decaying(Protocol):
    """What `decay` asks of a learner whose rows are [events, positives, time_ms]."""

    def at(self, rows: Values, time_ms: int) -> Values:
        """Return the rows [k, 3] as of a time, not before their own."""


def merge_table(
    learner: Merging,
    schema: TableSchema,
    replica: Table,
    parts: Sequence[WorkerChange],
    events: int,
    *,
    time_ms: int = 0,
) -> Changes:
    """Return the change of one table that an epoch's parts make; `check_merged` is still to come.

    Parameters
    ----------
    learner
        Names the table's rule; `matched` needs its `Geometry` as well.
    schema
        Of the table.
    replica
        The parameters that the change will be added to. Not changed.
    parts
        One per worker that learned events, in any order; each delta's rows sorted and unique.
    events
        Events of the epoch that were learned, at least the sum of the parts'.
    time_ms
        The time of the version to be: rule `decay` takes the rows there.

    Raises
    ------
    MergeError
        If integers add up beyond int64.
    """
    parts = sorted(parts, key=lambda part: part.worker)
    workers = [part.worker for part in parts]
    assert len(set(workers)) == len(workers), f"a worker has two parts: {workers}"
    assert events >= sum(part.events for part in parts), "parts have more events than the epoch"
    for part in parts:
        schema.check(part.delta.rows, part.delta.values)
    rule = learner.rules[schema.name]
    if len(parts) == 1 and rule in AS_IT_IS:
        return Changes(parts[0].delta.rows, parts[0].delta.values)
    gathered = gather_deltas([part.delta for part in parts], schema)
    with np.errstate(over="ignore", invalid="ignore"):  # `check_merged` refuses it
        change = _RULES[rule](_Epoch(learner, replica, gathered, parts, events, time_ms))
        return Changes(gathered.rows, change.astype(schema.value_dtype))


def check_merged(schema: TableSchema, rule: str, merged: Changes, before: Values) -> None:
    """Check a merged change by its rows' values `before` it [n, width].

    It comes after the merge because whoever applies the change meets these rows anyway, and a large
    table's are in no cache.

    Raises
    ------
    MergeError
        If a row becomes a number that is not finite, or leaves the range of int64.
    """
    adds, floats = schema.operation == "add", schema.value_dtype.kind == "f"
    if adds and floats and row_kernels.sums_are_finite(_flat(before), _flat(merged.values)):
        return
    after = changed_rows(schema, before, merged) if adds else merged.values
    wrong = _wrong(schema, before, merged.values, after)
    if not wrong.any():
        return
    unfit = np.flatnonzero(wrong.any(axis=1))
    row = unfit[0]
    raise MergeError(
        f"table {schema.name}, rule {rule}: row {merged.rows[row]} would become "
        f"{after[row].tolist()} from {before[row].tolist()} ({len(unfit)} such rows), "
        "expected finite numbers; nothing is committed: look for extreme numbers in the changes, "
        "if a program handed them in, else in the events (feature values, weights), or lower alpha"
    )


def compose(deltas: Sequence[TableDelta], schema: TableSchema) -> TableDelta:
    """Return the deltas of one table by one worker, in seq order, as one delta.

    By the table's operation changes add up, in float64 and rounded once (integers: exactly), or
    the largest value or the last row is kept. Stats add up, but for ``start``: the first's stands.

    Raises
    ------
    MergeError
        If integers add up beyond int64.
    """
    assert deltas, "nothing to compose"
    if len(deltas) == 1:
        return deltas[0]
    first = deltas[0]
    rows, indices = union_of_rows([delta.rows for delta in deltas], first.rows.dtype)

    def total(pieces: Sequence[NDArray[Any]]) -> NDArray[Any]:
        shape, dtype = (len(rows), *pieces[0].shape[1:]), pieces[0].dtype
        return sum_pieces(indices, pieces, np.zeros(shape, accumulator(dtype))).astype(dtype)

    stats = {name: total([delta.stats[name] for delta in deltas]) for name in first.stats}
    if "start" in stats:
        starts = [delta.stats["start"] for delta in deltas]
        stats["start"] = first_pieces(indices, starts, np.empty_like(stats["start"]))
    pieces = [delta.values for delta in deltas]
    match schema.operation:
        case "add":
            values = total(pieces)
        case "max" | "set" as operation:
            out = np.empty((len(rows), schema.width), schema.value_dtype)
            values = (largest_pieces if operation == "max" else last_pieces)(indices, pieces, out)
    return TableDelta(rows, values, stats)


def sum_share(s: Floats) -> Floats:
    """Return r = 1 / (1 + S), by which `matched` takes the sum, and by 1 - r the mean.

    In a direction that contracts by S over an epoch, one pass over all events leaves exp(-S) of the
    way to the optimum; 1 / (1 + S) is the mean of that over directions whose S are exponentially
    distributed, as a row's are many. Divisions and roots are the same bits on every processor.

    Examples
    --------
    >>> sum_share(np.array([0.0, 1, 9])).tolist()
    [1.0, 0.5, 0.1]
    """
    share: Floats = 1.0 / (1.0 + s)
    return share


@dataclass(frozen=True, slots=True)
class _Epoch:
    """What a rule works on: the replica is read where the rule needs its rows."""

    learner: Merging
    replica: Table
    gathered: Gathered
    parts: Sequence[WorkerChange]
    events: int
    time_ms: int

    def empty(self) -> Values:
        """Return room for the gathered rows, in the table's type."""
        schema = self.replica.schema
        return np.empty((len(self.gathered.rows), schema.width), schema.value_dtype)


def _sum(epoch: _Epoch) -> Values:
    """θ' = θ + Σ d_i."""
    return epoch.gathered.total()


def _mean(epoch: _Epoch) -> Values:
    """θ' = θ + Σ (m_i/m) d_i: the workers' mean, weighted by the events that each learned."""
    change = np.zeros((len(epoch.gathered.rows), epoch.replica.schema.width))
    for part, index in zip(epoch.parts, epoch.gathered.indices, strict=True):
        change[index] += part.events / epoch.events * part.delta.values.astype(np.float64)
    return change


def _matched(epoch: _Epoch) -> Values:
    """w' = r (w + Σ dw_i) + (1 - r) w̄;  n' = n + γ² Q;  z' = the state that gives w' at n'.

    w̄ is the mean of the weights that the workers ended with, r = `sum_share` of S, and with η at
    n + Q/c, where workers end::

        S = η Q + ∜(k/m) T      γ = r + (1 - r) / c

    Cold rows take the sum. Hot rows go to the mean: what was merged since the workers started is
    a part of the way that their changes cover again. γ is what a worker's change moves the row by,
    so γ² Q are the squares of the steps that it made: a row that averages learns and wavers as one
    worker's does, in fewer and larger steps.

    A row that one worker touched, and one whose w' is 0, take z' = z + Σ dz and n' = n + Q instead:
    the first is then what that worker learned, whatever version it stood on and on either side of
    l1; the second has no other z.
    """
    learner, gathered = epoch.learner, epoch.gathered
    assert isinstance(learner, Geometry), "rule matched needs the geometry of a gradient learner"
    change, workers = gathered.total(), gathered.workers
    shared = np.flatnonzero(workers > 1)
    q, workers = change[shared, 1], workers[shared]
    before = epoch.replica.gather(gathered.rows[shared])
    z, n = before[:, 0].astype(np.float64), before[:, 1].astype(np.float64)

    def total(name: str) -> Floats:
        return gathered.stat_total(name)[shared]

    fourth_root = np.sqrt(np.sqrt(total("touches") / max(1, epoch.events)))
    s = learner.rate(n + q / workers) * q + fourth_root * total("contraction")
    r, moved = sum_share(s), total("dw")
    w = r * (learner.weights(before) + moved) + (1 - r) * (total("start") + moved) / workers
    q = np.where(w == 0, q, np.square(r + (1 - r) / workers) * q)
    change[shared, 0] = np.where(w == 0, change[shared, 0], learner.state(w, n + q) - z)
    change[shared, 1] = q
    return change


def _max(epoch: _Epoch) -> Values:
    """θ' = max(θ, v_1, …, v_N), element by element, of what the workers saw."""
    gathered = epoch.gathered
    return largest_pieces(gathered.indices, gathered.pieces, epoch.empty())


def _replace(epoch: _Epoch) -> Values:
    """θ' = the row of the one worker that holds it; of two, the higher index has the last word.

    Two workers share a row when events are not keyed to partitions by what the row stands for. A
    refusal would end the job at the same events again and again; the order is the same in a replay.
    """
    gathered = epoch.gathered
    return last_pieces(gathered.indices, gathered.pieces, epoch.empty())


def _decay(epoch: _Epoch) -> Values:
    """θ' = θ as of the version's time + the counts of all workers, which are as old as that."""
    learner, gathered = epoch.learner, epoch.gathered
    assert isinstance(learner, Decaying), "rule decay needs a learner whose rows have a time"
    rows = learner.at(epoch.replica.gather(gathered.rows), epoch.time_ms)
    rows[:, 0] += gathered.stat_total("events")
    rows[:, 1] += gathered.stat_total("positives")
    return rows


_RULES: Final[dict[str, Callable[[_Epoch], Values]]] = {
    "sum": _sum,
    "mean": _mean,
    "matched": _matched,
    "max": _max,
    "replace": _replace,
    "decay": _decay,
}

OPERATIONS: Final[Mapping[str, Operation]] = {
    "sum": "add",
    "mean": "add",
    "matched": "add",
    "max": "max",
    "replace": "set",
    "decay": "set",
}
"""The operation of a table, by its rule."""

assert OPERATIONS.keys() == _RULES.keys(), "every rule has an operation"

AS_IT_IS: Final = frozenset({"matched", "replace", "sum"})
"""Rules under which an epoch's only part is the change, bit for bit: workers rely on it."""

ONE_STREAM: Final = frozenset({"decay", "replace"})
"""Rules that do not commute: what two streams make of a row depends on who commits first."""


def _flat(values: Values) -> Values:
    return read_only(values.reshape(-1), values.dtype)


def _wrong(schema: TableSchema, before: Values, values: Values, after: Values) -> NDArray[np.bool_]:
    """Return which numbers are not finite, or have wrapped around."""
    if schema.value_dtype.kind == "f":
        return ~np.isfinite(after)
    wrapped: NDArray[np.bool_] = (values < 0) != (after < before)
    return wrapped & (schema.operation == "add")
