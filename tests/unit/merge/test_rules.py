"""Merge rules against the row-by-row oracle, their limits, and what they refuse."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, get_args

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from strandline.errors import MergeError
from strandline.learners.counts import Counts
from strandline.learners.ftrl import Ftrl
from strandline.merge import (
    ONE_STREAM,
    OPERATIONS,
    Merging,
    WorkerChange,
    check_merged,
    compose,
    merge_table,
)
from strandline.merge.rules import sum_share
from strandline.spec import CountsSpec, FtrlSpec, SklearnSpec
from strandline.tables.changes import Changes, TableDelta, Values
from strandline.tables.table import DenseTable, SparseTable, Table, TableSchema, apply_changes
from tests.oracles.merge import (
    RowPart,
    merged_matched,
    merged_max,
    merged_mean,
    merged_replace,
    merged_sum,
)

SPECS = {
    "matched": FtrlSpec(features=("a",), bits=3, alpha=0.1),
    "matched_l1_l2": FtrlSpec(features=("a",), bits=3, alpha=0.5, l1=0.5, l2=2.0),
    "sum": FtrlSpec(features=("a",), bits=3, merge="sum"),
    "mean": FtrlSpec(features=("a",), bits=3, merge="mean"),
}

small = st.floats(-4, 4, width=32)
positive = st.floats(0, 16, width=32)
row_part = st.tuples(small, positive, small, positive, st.integers(1, 50), small)
RowColumns = tuple[float, float, float, float, int, float]
"""dz, dn, dw, contraction, touches, start of one row."""

worker = st.dictionaries(st.integers(0, 7), row_part, max_size=8)


def delta_of(rows: dict[int, RowColumns]) -> TableDelta:
    ordered = sorted(rows)
    columns = [np.array([rows[r][i] for r in ordered], np.float32) for i in range(4)]
    return TableDelta(
        np.array(ordered, np.uint32),
        np.stack(columns[:2], axis=1).reshape(-1, 2),
        {
            "dw": columns[2],
            "contraction": columns[3],
            "touches": np.array([rows[r][4] for r in ordered], np.uint32),
            "start": np.array([rows[r][5] for r in ordered], np.float32),
        },
    )


def merge_and_check(
    learner: Merging, schema: TableSchema, replica: Table, parts: list[WorkerChange], events: int
) -> None:
    """Merge, and check what comes of it, as a merger does."""
    merged = merge_table(learner, schema, replica, parts, events)
    check_merged(schema, learner.rules[schema.name], merged, replica.gather(merged.rows))


def counts_delta(rows: dict[int, tuple[int, int]]) -> TableDelta:
    values = np.array([rows[r] for r in sorted(rows)], np.int64).reshape(-1, 2)
    return TableDelta(np.array(sorted(rows), np.uint64), values)


@pytest.mark.parametrize("case", SPECS)
@settings(deadline=None)
@given(
    start=st.lists(st.tuples(small, positive), min_size=8, max_size=8),
    workers=st.lists(worker, min_size=1, max_size=6),
)
def test_every_rule_equals_the_oracle(
    case: str,
    start: list[tuple[float, float]],
    workers: list[dict[int, RowColumns]],
) -> None:
    spec = SPECS[case]
    learner = Ftrl("ctr", spec, [0])
    (schema,) = learner.tables
    replica = DenseTable(schema, np.array(start, np.float32))
    untouched = replica.values.copy()
    shares = [50 + 10 * i for i in range(len(workers))]
    events = sum(shares)
    parts = [
        WorkerChange(i, m, delta_of(rows))
        for i, (m, rows) in enumerate(zip(shares, workers, strict=True))
    ]
    changes = merge_table(learner, schema, replica, parts, events)
    assert changes.rows.tolist() == sorted(set().union(*workers))
    assert np.array_equal(replica.values, untouched)
    for row, add in zip(changes.rows.tolist(), changes.values.astype(np.float64), strict=True):
        z, n = start[row]
        pieces = [
            RowPart(m, *rows[row]) for m, rows in zip(shares, workers, strict=True) if row in rows
        ]
        if spec.merge == "sum":
            expected = merged_sum(z, n, pieces)
        elif spec.merge == "mean":
            expected = merged_mean(z, n, pieces, events)
        else:
            expected = merged_matched(
                z, n, pieces, events, alpha=spec.alpha, beta=spec.beta, l1=spec.l1, l2=spec.l2
            )
        # float64 sums in another order, then one rounding of the change to float32.
        change = np.subtract(expected, (z, n))
        assert add == pytest.approx(change, rel=1e-6, abs=1e-9 * (1 + np.abs(expected).max()))


@settings(deadline=None)
@given(
    start=st.dictionaries(st.integers(0, 9), st.tuples(st.integers(0, 9), st.integers(0, 9))),
    workers=st.lists(
        st.dictionaries(st.integers(0, 9), st.tuples(st.integers(0, 2**60), st.integers(0, 2**60))),
        max_size=5,
    ),
)
def test_counts_add_up_exactly(
    start: dict[int, tuple[int, int]], workers: list[dict[int, tuple[int, int]]]
) -> None:
    learner = Counts("popularity", CountsSpec(feature="a"), 0)
    (schema,) = learner.tables
    replica = SparseTable(schema)
    first = counts_delta(start)
    replica.add(first.rows, first.values)
    parts = [WorkerChange(i, 1, counts_delta(rows)) for i, rows in enumerate(workers)]
    changes = merge_table(learner, schema, replica, parts, len(workers))
    expected = {
        row: [sum(w.get(row, (0, 0))[i] for w in workers) for i in (0, 1)]
        for row in set().union(*workers)
    }
    assert dict(zip(changes.rows.tolist(), changes.values.tolist(), strict=True)) == expected
    assert changes.values.dtype == np.int64


def test_the_share_of_the_sum_falls_from_one_to_nothing() -> None:
    assert sum_share(np.array([0.0, np.inf])).tolist() == [1.0, 0.0]
    assert (np.diff(sum_share(np.logspace(-6, 9, 50))) < 0).all()


def matched_change(*parts: RowColumns, events: int) -> Values:
    """Return what rule `matched` makes of one row at zero that each part's worker touched."""
    learner = Ftrl("ctr", FtrlSpec(features=("a",), bits=3, alpha=0.1), [0])
    (schema,) = learner.tables
    deltas = [WorkerChange(i, part[4], delta_of({1: part})) for i, part in enumerate(parts)]
    values = merge_table(learner, schema, DenseTable(schema), deltas, events).values
    return np.array([learner.weights(values)[0], values[0, 1]])


def test_a_cold_row_takes_the_sum_and_a_hot_one_the_mean_whose_squares_are_smaller() -> None:
    """Of four workers a cold row has every step, a hot one a quarter of each: 1/16 of squares."""
    cold = [(0.0, 1e-9, 0.2, 1e-9, 1, 0.0)] * 4
    hot = [(0.0, 8.0, 0.2, 1e9, 1_000, 0.0)] * 4
    assert matched_change(*cold, events=10**9) == pytest.approx([0.8, 4e-9], rel=1e-5)
    assert matched_change(*hot, events=4_000) == pytest.approx([0.2, 2.0], rel=1e-5)


def test_workers_that_averaged_learn_and_waver_as_one_worker_does() -> None:
    """Over many epochs of noise alone n grows so that η γ keeps to one worker's η."""
    learner = Ftrl("ctr", FtrlSpec(features=("a",), bits=3, alpha=0.1), [0])
    (schema,) = learner.tables
    replica, epochs, q = DenseTable(schema), 50, 1e6
    for _ in range(epochs):
        parts = [
            WorkerChange(i, 100, delta_of({1: (0.0, q / 8, 0.1, 1e9, 100, 0.0)})) for i in range(8)
        ]
        change = merge_table(learner, schema, replica, parts, 800)
        replica.add(change.rows, change.values)
    merged, alone = learner.rate(np.array([replica.values[1, 1], epochs * q]))
    assert merged / 8 == pytest.approx(alone, rel=0.01)


def test_a_row_that_one_worker_touched_takes_its_change_bit_for_bit() -> None:
    """On either side of l1, and whatever version the worker stood on."""
    learner = Ftrl("ctr", SPECS["matched_l1_l2"], [0])
    (schema,) = learner.tables
    replica = DenseTable(schema, np.full((8, 2), 3.0, np.float32))
    mine = delta_of({1: (-2.9, 0.7, 1.25, 3.0, 9, 0), 2: (0.1, 0.7, -0.01, 3.0, 9, 0)})
    other = delta_of({5: (1.0, 1.0, 1.0, 1.0, 1, 0)})
    changes = merge_table(
        learner, schema, replica, [WorkerChange(0, 9, mine), WorkerChange(1, 9, other)], 18
    )
    assert changes.values[:2].tobytes() == mine.values.tobytes()


def test_a_hot_row_moves_to_the_mean_of_the_workers_weights_whatever_was_merged_meanwhile() -> None:
    learner = Ftrl("ctr", FtrlSpec(features=("a",), bits=3, alpha=0.1), [0])
    (schema,) = learner.tables
    started, moved, hot = 0.5, (0.3, 0.5), 1e9
    parts = [
        WorkerChange(i, 9, delta_of({1: (0.0, 1.0, dw, hot, 9, started)}))
        for i, dw in enumerate(moved)
    ]
    replica = DenseTable(schema)
    replica.values[1] = learner.state(np.array([2.0]), np.array([4.0]))[0], 4.0
    change = merge_table(learner, schema, replica, parts, 18)
    replica.add(change.rows, change.values)
    assert learner.weights(replica.values[1:2]) == pytest.approx(started + np.mean(moved), rel=1e-6)


def test_a_matched_row_has_the_same_bits_on_every_processor() -> None:
    """A replay on another machine must make the same file: no function that libraries tune."""
    learner = Ftrl("ctr", SPECS["matched_l1_l2"], [0])
    (schema,) = learner.tables
    replica = DenseTable(schema, np.full((8, 2), 3.0, np.float32))
    one = delta_of({1: (0.3, 0.7, -0.01, 0.2, 3, 0.1), 2: (-9.0, 2.5, 0.4, 30.0, 9, -0.2)})
    two = delta_of({1: (0.1, 0.2, -0.02, 0.1, 1, 0.3), 2: (-7.0, 1.5, 0.3, 20.0, 7, -0.3)})
    changes = merge_table(
        learner, schema, replica, [WorkerChange(0, 9, one), WorkerChange(1, 9, two)], 18
    )
    assert changes.values.tobytes().hex() == "b29130bf07a0313f40068bc0422b853f"


def test_where_the_merged_weight_is_zero_the_row_takes_the_sum() -> None:
    learner = Ftrl("ctr", FtrlSpec(features=("a",), bits=3, l1=10.0), [0])
    (schema,) = learner.tables
    parts = [WorkerChange(i, 5, delta_of({4: (3.0, 1.0, 0.0, 0.1, 5, 0)})) for i in range(2)]
    changes = merge_table(learner, schema, DenseTable(schema), parts, 10)
    assert changes.values.tolist() == [[6.0, 2.0]]


def test_the_sum_is_taken_in_worker_order_in_float64() -> None:
    """2²⁴ + 1 is 2²⁴ in float32, and 2⁵³ + 1 is 2⁵³ in float64."""
    learner = Ftrl("ctr", SPECS["sum"], [0])
    (schema,) = learner.tables

    def change(*dz: float) -> Any:
        parts = [WorkerChange(i, 1, delta_of({0: (z, 0, 0, 0, 1, 0)})) for i, z in enumerate(dz)]
        return merge_table(learner, schema, DenseTable(schema), parts[::-1], 9).values[0, 0]

    assert change(2.0**24, 1, 1) == 2.0**24 + 2
    assert change(2.0**53, 1, 1, -(2.0**53)) == 0
    assert change(1, 1, 2.0**53, -(2.0**53)) == 2


@pytest.mark.parametrize("rule", ["matched", "sum", "mean"])
@pytest.mark.parametrize("bad", [np.nan, np.inf, 3e38])
@pytest.mark.filterwarnings("ignore:overflow encountered in cast")  # 3e38 twice, on purpose
def test_a_value_that_is_not_finite_fails_the_merge(rule: str, bad: float) -> None:
    learner = Ftrl("ctr", SPECS[rule], [0])
    (schema,) = learner.tables
    replica = DenseTable(schema, np.full((8, 2), 3e38, np.float32))
    parts = [WorkerChange(i, 1, delta_of({2: (bad, bad, bad, 1, 1, 0)})) for i in range(2)]
    with pytest.raises(MergeError, match=r"ctr\.zn, rule .*row 2 would become"):
        merge_and_check(learner, schema, replica, parts, 2)


def test_counts_beyond_int64_fail_the_merge_instead_of_wrapping() -> None:
    learner = Counts("popularity", CountsSpec(feature="a"), 0)
    (schema,) = learner.tables
    full = counts_delta({3: (2**63 - 1, 0)})
    parts = [WorkerChange(0, 1, full), WorkerChange(1, 1, counts_delta({3: (1, 0)}))]
    with pytest.raises(MergeError, match="beyond int64"):
        merge_table(learner, schema, SparseTable(schema), parts, 2)
    with pytest.raises(MergeError, match="beyond int64"):
        compose([full, full], schema)
    replica = SparseTable(schema)
    replica.add(full.rows, full.values)
    with pytest.raises(MergeError, match="row 3"):
        merge_and_check(learner, schema, replica, parts[1:], 1)


def test_no_parts_change_nothing() -> None:
    learner = Ftrl("ctr", SPECS["matched"], [0])
    (schema,) = learner.tables
    changes = merge_table(learner, schema, DenseTable(schema), [], 0)
    assert isinstance(changes, Changes)
    schema.check(changes.rows, changes.values)
    assert len(changes.rows) == 0


def test_two_parts_of_one_worker_are_refused() -> None:
    learner = Ftrl("ctr", SPECS["sum"], [0])
    (schema,) = learner.tables
    part = WorkerChange(1, 1, delta_of({}))
    with pytest.raises(AssertionError, match="two parts"):
        merge_table(learner, schema, DenseTable(schema), [part, part], 2)


def test_composed_deltas_add_up_over_the_union_of_rows() -> None:
    first = delta_of({1: (1, 2, 3, 4, 5, 0.25), 3: (1, 1, 1, 1, 1, 0)})
    second = delta_of({0: (1, 0, 1, 0, 2, 0)})
    third = delta_of({1: (0.5, 1, 0, 1, 6, 0.75)})
    (schema,) = Ftrl("ctr", SPECS["sum"], [0]).tables
    found = compose([first, second, third], schema)
    assert found.rows.tolist() == [0, 1, 3]
    assert found.values.tolist() == [[1, 0], [1.5, 3], [1, 1]]
    assert {name: stat.tolist() for name, stat in found.stats.items()} == {
        "dw": [1, 3, 1],
        "contraction": [0, 5, 1],
        "touches": [2, 11, 1],
        "start": [0, 0.25, 0],
    }


@dataclass(frozen=True)
class Declared:
    """A learner as far as a merge asks: rules of its tables."""

    rules: dict[str, str]


def seen(rows: Mapping[int, Sequence[float]], dtype: type = np.float64) -> TableDelta:
    values: Values = np.array([rows[r] for r in sorted(rows)], dtype).reshape(-1, 2)
    return TableDelta(np.array(sorted(rows), np.uint64), values)


PEAK = TableSchema("peak.values", 2, "float64", operation="max")
LAST = TableSchema("last.rows", 2, "float64", operation="set")


@pytest.mark.parametrize("schema", [PEAK, LAST])
@settings(deadline=None)
@given(
    start=st.dictionaries(st.integers(0, 9), st.tuples(positive, positive)),
    workers=st.lists(
        st.dictionaries(st.integers(0, 9), st.tuples(small, small)), min_size=1, max_size=5
    ),
)
def test_largest_and_last_rows_equal_the_oracle(
    schema: TableSchema,
    start: dict[int, tuple[float, float]],
    workers: list[dict[int, tuple[float, float]]],
) -> None:
    rule = "max" if schema is PEAK else "replace"
    replica = SparseTable(schema)
    apply_changes({schema.name: replica}, [{schema.name: seen(start)}])
    parts = [WorkerChange(i, 1, seen(rows)) for i, rows in enumerate(workers)]
    learner = Declared({schema.name: rule})
    changes = merge_table(learner, schema, replica, parts[::-1], len(workers))
    apply_changes({schema.name: replica}, [{schema.name: changes}])
    for row in range(10):
        values = [rows[row] for rows in (start, *workers) if row in rows]
        expected = merged_max(values) if rule == "max" else merged_replace(values)
        assert replica.gather(np.array([row], np.uint64))[0].tolist() == list(expected)


@pytest.mark.parametrize("schema", [PEAK, LAST])
def test_composed_deltas_keep_the_largest_or_the_last_row(schema: TableSchema) -> None:
    found = compose([seen({1: (5, -1), 2: (1, 1)}), seen({1: (3, 2)})], schema)
    assert found.rows.tolist() == [1, 2]
    assert found.values.tolist() == [[5, 2] if schema is PEAK else [3, 2], [1, 1]]


@pytest.mark.parametrize("schema", [PEAK, LAST])
@pytest.mark.parametrize("bad", [np.nan, np.inf])
def test_a_largest_or_last_value_that_is_not_finite_fails_the_merge(
    schema: TableSchema, bad: float
) -> None:
    learner = Declared({schema.name: "max" if schema is PEAK else "replace"})
    parts = [WorkerChange(0, 1, seen({3: (bad, 1)})), WorkerChange(1, 1, seen({4: (1, 1)}))]
    with pytest.raises(MergeError, match="row 3 would become"):
        merge_and_check(learner, schema, SparseTable(schema), parts, 2)


def test_large_integers_of_max_tables_do_not_overflow() -> None:
    """Times and identifiers near 2⁶³ are compared, never added up or taken through float64."""
    schema = TableSchema("peak.times", 2, "int64", operation="max")
    near = 2**63 - 1
    parts = [WorkerChange(i, 1, seen({7: (near - i, -near)}, np.int64)) for i in range(3)]
    changes = merge_table(Declared({schema.name: "max"}), schema, SparseTable(schema), parts, 3)
    assert changes.values.tolist() == [[near, -near]]


def test_a_negative_zero_never_decides_a_bit() -> None:
    learner = Declared({PEAK.name: "max"})
    parts = [WorkerChange(i, 1, seen({3: (zero, zero)})) for i, zero in enumerate((-0.0, 0.0))]
    for order in (parts, parts[:1], parts[1:]):
        changes = merge_table(learner, PEAK, SparseTable(PEAK), order, 2)
        assert not np.signbit(changes.values).any()


def test_what_replaces_rows_takes_one_stream() -> None:
    assert {rule for rule, operation in OPERATIONS.items() if operation == "set"} == ONE_STREAM


def test_the_spec_offers_the_rules_that_make_sense() -> None:
    """Counts are exact only as a sum; `mean` and `matched` are for those that follow gradients."""
    sensible = {
        FtrlSpec: {"matched", "sum", "mean"},
        CountsSpec: {"sum"},
        SklearnSpec: {"mean", "sum"},
    }
    for spec, rules in sensible.items():
        assert set(get_args(spec.__annotations__["merge"])) == rules <= OPERATIONS.keys()
