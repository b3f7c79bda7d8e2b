"""What must hold for every learner, under the rules of its tables.

Tolerances. A float32 delta is the difference of two stored numbers, rounded: `start + delta` is
off `end` by at most half a unit in the last place of each, so by `ROUNDING` of the larger. The
merge of one worker adds that same delta. Composed deltas and sequential deltas of disjoint rows
add a rounding per delta. Integers have no tolerance.
"""

from collections.abc import Callable
from dataclasses import dataclass
from itertools import pairwise

import numpy as np
import pytest

from strandline.features import BIAS_FIELD, Batch
from strandline.learners import Learner, empty_parameters
from strandline.learners.base import Remembering
from strandline.merge import OPERATIONS, WorkerChange, compose, merge_table
from strandline.tables.changes import TableDelta, Values
from strandline.tables.table import Parameters, apply_changes

ROUNDING = 2.0**-23
FIELDS = (0, 1, 2)


@dataclass(frozen=True)
class Case:
    """A learner under test: its name, and how to make it."""

    name: str
    make: Callable[[], Learner]

    def bound(self, parameters: Parameters | None = None) -> tuple[Learner, Parameters]:
        """Return a fresh learner, bound to a copy of the parameters, or to none."""
        learner = self.make()
        if parameters is None:
            parameters = empty_parameters({self.name: learner})
        else:
            parameters = {name: table.copy() for name, table in parameters.items()}
        learner.bind(parameters)
        return learner, parameters


def make_batch(seed: int, rows: int = 200, *, keys: int = 60, disjoint: int | None = None) -> Batch:
    """Return events of 0 to 4 entries with repeated keys, weights and both labels.

    With `disjoint` = i only keys that are i modulo 2 occur, and no bias.
    """
    rng = np.random.default_rng(seed)
    lengths = rng.integers(0, 5, rows)
    with_bias = disjoint is None
    starts = np.concatenate(([0], np.cumsum(lengths + with_bias))).astype(np.int64)
    entries = int(starts[-1])
    chosen = rng.integers(0, keys, entries, dtype=np.uint64)
    if disjoint is not None:
        chosen = np.uint64(2) * chosen + np.uint64(disjoint)
    fields = rng.choice(FIELDS, entries).astype(np.uint16)
    values = rng.normal(size=entries).astype(np.float32)
    if with_bias:
        last = starts[1:] - 1
        chosen[last], fields[last], values[last] = 7, BIAS_FIELD, 1.0
    return Batch(
        keys=chosen,
        fields=fields,
        values=values,
        starts=starts,
        labels=(rng.random(rows) < 0.3).astype(np.float32),
        weights=rng.choice([0.5, 1.0, 2.0], rows).astype(np.float32),
    )


def rows_of(batch: Batch, first: int, end: int) -> Batch:
    """Return the events [first, end) of a batch."""
    entries = slice(batch.starts[first], batch.starts[end])
    return Batch(
        keys=batch.keys[entries],
        fields=batch.fields[entries],
        values=batch.values[entries],
        starts=batch.starts[first : end + 1] - batch.starts[first],
        labels=batch.labels[first:end],
        weights=batch.weights[first:end],
    )


def contents(parameters: Parameters) -> dict[str, tuple[bytes, bytes]]:
    """Return every table's bytes."""
    items = {name: table.items() for name, table in sorted(parameters.items())}
    return {name: (rows.tobytes(), values.tobytes()) for name, (rows, values) in items.items()}


def delta_bytes(deltas: dict[str, TableDelta]) -> dict[str, tuple[bytes, ...]]:
    """Return every delta's bytes."""
    return {
        name: (d.rows.tobytes(), d.values.tobytes(), *(s.tobytes() for s in d.stats.values()))
        for name, d in deltas.items()
    }


def assert_close(found: Values, expected: Values, scale: Values, roundings: int) -> None:
    """Integers equal; float32 within that many roundings of numbers as large as `scale`."""
    assert found.dtype == expected.dtype
    if found.dtype.kind == "i":
        assert np.array_equal(found, expected)
        return
    difference = np.abs(found.astype(np.float64) - expected.astype(np.float64))
    allowed = roundings * ROUNDING * np.maximum(np.abs(scale), np.abs(expected))
    assert (difference <= allowed + 1e-30).all(), f"off by {difference.max()}"


def assert_same_parameters(found: Parameters, expected: Parameters, roundings: int) -> None:
    """Rows of the expected tables agree; numbers are compared on the scale of their table."""
    for name, table in expected.items():
        rows, values = table.items()
        scale = np.abs(values).max(axis=0, initial=0)
        assert np.array_equal(found[name].items()[0], rows)
        assert_close(found[name].gather(rows), values, scale, roundings)


def merged(
    case: Case, start: Parameters, deltas: list[dict[str, TableDelta]], events: list[int]
) -> Parameters:
    """Return `start` with the merge of each worker's delta added."""
    learner, after = case.bound(start)
    for schema in learner.tables:
        parts = [
            WorkerChange(i, e, d[schema.name])
            for i, (d, e) in enumerate(zip(deltas, events, strict=True))
        ]
        changes = merge_table(learner, schema, start[schema.name], parts, sum(events))
        apply_changes(after, [{schema.name: changes}])
    return after


def learned(case: Case, *batches: Batch) -> Parameters:
    """Return parameters after the batches, from none."""
    learner, parameters = case.bound()
    for batch in batches:
        learner.learn(batch)
    learner.take_delta()  # a mini-batch that is not full yet is learned here
    return parameters


def check_tables_and_rules_are_named(case: Case) -> None:
    learner = case.make()
    assert all(schema.name.startswith(f"{case.name}.") for schema in learner.tables)
    assert set(learner.rules) == {schema.name for schema in learner.tables}
    for schema in learner.tables:
        assert OPERATIONS[learner.rules[schema.name]] == schema.operation


def check_predict_is_pure(case: Case) -> None:
    learner, parameters = case.bound(learned(case, make_batch(1)))
    before = contents(parameters)
    first, second = learner.predict(make_batch(2)), learner.predict(make_batch(2))
    assert (first is None) == (second is None) == (learner.predicts is None)
    if first is not None and second is not None:
        assert first.tobytes() == second.tobytes()
        assert first.dtype == np.float32
        if learner.predicts == "probability":
            assert ((first >= 0) & (first <= 1)).all()
        if learner.predicts == "class":
            assert np.isin(first, (0, 1)).all()
    assert contents(parameters) == before
    assert all(len(delta.rows) == 0 for delta in learner.take_delta().values())


def check_learn_predicts_before_it_learns(case: Case) -> None:
    learner, _ = case.bound(learned(case, make_batch(1)))
    batch = make_batch(2)
    for i in range(batch.rows):
        event = rows_of(batch, i, i + 1)
        expected, found = learner.predict(event), learner.learn(event)
        assert (expected is None) == (found is None)
        if expected is not None and found is not None:
            assert found.tobytes() == expected.tobytes()


def check_learning_changes_something(case: Case) -> None:
    learner, parameters = case.bound()
    learner.learn(make_batch(1))
    assert all(len(delta.rows) for delta in learner.take_delta().values())
    assert all(len(table.items()[0]) for table in parameters.values())


def check_the_split_into_batches_changes_no_bit(case: Case) -> None:
    batch = make_batch(1)
    whole, whole_parameters = case.bound()
    predictions = whole.learn(batch)
    delta = delta_bytes(whole.take_delta())
    for cuts in ([1], [0, 199], [17, 17, 100], list(range(1, 200))):
        learner, parameters = case.bound()
        ends = [0, *cuts, batch.rows]
        pieces = [learner.learn(rows_of(batch, a, b)) for a, b in pairwise(ends)]
        if predictions is not None:
            found = np.concatenate([piece for piece in pieces if piece is not None])
            assert found.tobytes() == predictions.tobytes()
        assert contents(parameters) == contents(whole_parameters)
        assert delta_bytes(learner.take_delta()) == delta


def check_start_plus_delta_is_the_end(case: Case) -> None:
    start = learned(case, make_batch(1))
    learner, end = case.bound(start)
    learner.learn(make_batch(2))
    for name, delta in learner.take_delta().items():
        before = start[name].gather(delta.rows)
        expected = end[name].gather(delta.rows)
        after = {name: start[name].copy()}
        apply_changes(after, [{name: delta}])
        assert_close(after[name].gather(delta.rows), expected, before, 1)
        untouched = np.setdiff1d(end[name].items()[0], delta.rows)
        assert np.array_equal(end[name].gather(untouched), start[name].gather(untouched))


def check_a_delta_is_well_formed(case: Case) -> None:
    learner, _ = case.bound()
    learner.learn(make_batch(1))
    deltas = learner.take_delta()
    assert set(deltas) == {schema.name for schema in learner.tables}
    for schema in learner.tables:
        delta = deltas[schema.name]
        schema.check(delta.rows, delta.values)
        assert delta.finite
        assert all(stat.shape == delta.rows.shape for stat in delta.stats.values())


def check_a_second_delta_is_empty_and_an_epoch_stands_alone(case: Case) -> None:
    learner, parameters = case.bound()
    learner.learn(make_batch(1))
    first = delta_bytes(learner.take_delta())
    between = {name: table.copy() for name, table in parameters.items()}
    for schema in learner.tables:
        delta = learner.take_delta()[schema.name]
        schema.check(delta.rows, delta.values)
        assert len(delta.rows) == 0
    learner.learn(make_batch(2))
    second = delta_bytes(learner.take_delta())
    other, _ = case.bound(between)
    other.learn(make_batch(2))
    assert delta_bytes(other.take_delta()) == second != first


def check_a_taken_delta_does_not_change(case: Case) -> None:
    learner, _ = case.bound()
    learner.learn(make_batch(1))
    deltas = learner.take_delta()
    before = delta_bytes(deltas)
    learner.learn(make_batch(2))
    learner.take_delta()
    assert delta_bytes(deltas) == before


def check_bound_again_it_begins_anew(case: Case) -> None:
    learner, parameters = case.bound()
    learner.learn(make_batch(1))
    expected = contents(parameters), delta_bytes(learner.take_delta())
    learner.learn(make_batch(3))  # a forgotten epoch leaves no trace
    again = empty_parameters({case.name: learner})
    learner.bind(again)
    learner.learn(make_batch(1))
    assert (contents(again), delta_bytes(learner.take_delta())) == expected


def check_no_events_are_no_change(case: Case) -> None:
    learner, parameters = case.bound()
    nothing = rows_of(make_batch(1), 0, 0)
    for predictions in (learner.learn(nothing), learner.predict(nothing)):
        assert predictions is None or predictions.shape == (0,)
    assert all(len(table.items()[0]) == 0 for table in parameters.values())
    assert all(len(delta.rows) == 0 for delta in learner.take_delta().values())


def check_one_worker_merged_is_sequential(case: Case) -> None:
    """The merge adds the worker's delta unchanged, so it is off by that delta's rounding."""
    start = learned(case, make_batch(1))
    learner, end = case.bound(start)
    learner.learn(make_batch(2))
    deltas = learner.take_delta()
    after = merged(case, start, [deltas], [200])
    assert_same_parameters(after, end, 1)
    for name, delta in deltas.items():
        moved = {name: start[name].copy()}
        apply_changes(moved, [{name: delta}])
        assert np.array_equal(after[name].gather(delta.rows), moved[name].gather(delta.rows))


def check_disjoint_rows_merged_are_sequential(case: Case) -> None:
    """What one worker alone touched moves whole; rule mean alone moves it by the share."""
    learner = case.make()
    if "mean" in learner.rules.values():
        pytest.skip("rule mean moves a row by its workers' share of the events")
    batches = [make_batch(2, disjoint=0), make_batch(3, disjoint=1)]
    start = learned(case, make_batch(1, disjoint=0), make_batch(4, disjoint=1))
    sequential, end = case.bound(start)
    deltas = []
    for batch in batches:
        sequential.learn(batch)
        worker, _ = case.bound(start)
        worker.learn(batch)
        deltas.append(worker.take_delta())
    assert_same_parameters(merged(case, start, deltas, [200, 200]), end, 1)


def check_merged_bytes_do_not_depend_on_arrival(case: Case) -> None:
    start = learned(case, make_batch(1))
    learner = case.make()
    parts: dict[str, list[WorkerChange]] = {schema.name: [] for schema in learner.tables}
    for i in range(5):
        worker, _ = case.bound(start)
        worker.learn(make_batch(10 + i))
        for name, delta in worker.take_delta().items():
            parts[name].append(WorkerChange(i, 200, delta))
    for schema in learner.tables:
        found = set()
        for order in ([0, 1, 2, 3, 4], [4, 3, 2, 1, 0], [2, 4, 0, 3, 1]):
            arrived = [parts[schema.name][i] for i in order]
            changes = merge_table(learner, schema, start[schema.name], arrived, 1000)
            found.add((changes.rows.tobytes(), changes.values.tobytes()))
        assert len(found) == 1


def check_who_remembers_says_what_rows_were_before(case: Case) -> None:
    start = learned(case, make_batch(1))
    learner, parameters = case.bound(start)
    for seed in (2, 3):
        learner.learn(make_batch(seed))
    for name, delta in learner.take_delta().items():
        assert (delta.before is not None) == isinstance(learner, Remembering)
        if delta.before is not None:
            assert delta.before.tobytes() == start[name].gather(delta.rows).tobytes()
            apply_changes(start, [{name: delta}])  # the rows are what everybody will have
            expected = start[name].gather(delta.rows).tobytes()
            assert parameters[name].gather(delta.rows).tobytes() == expected


def check_composed_deltas_are_one_delta(case: Case) -> None:
    start = learned(case, make_batch(1))
    batches = [make_batch(2), make_batch(3), make_batch(4)]
    learner, _ = case.bound(start)
    pieces = []
    for batch in batches:
        learner.learn(batch)
        pieces.append(learner.take_delta())
    whole, end = case.bound(start)
    for batch in batches:
        whole.learn(batch)
    schemas = {schema.name: schema for schema in learner.tables}
    for name, expected in whole.take_delta().items():
        found = compose([piece[name] for piece in pieces], schemas[name])
        assert np.array_equal(found.rows, expected.rows)
        assert set(found.stats) == set(expected.stats)
        scale = np.maximum(np.abs(end[name].gather(found.rows)), 1)
        assert_close(found.values, expected.values, scale, 3)
        for stat, values in expected.stats.items():
            assert found.stats[stat].dtype == values.dtype
            if values.dtype.kind == "u":
                assert np.array_equal(found.stats[stat], values)
            else:
                assert_close(found.stats[stat], values, np.ones_like(values), 3)


CHECKS: dict[str, Callable[[Case], None]] = {
    name: check for name, check in dict(globals()).items() if name.startswith("check_")
}
