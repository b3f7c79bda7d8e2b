"""Tables against a dictionary, and the contracts of their arguments."""

from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from strandline.kernels.arrays import LINE_BYTES, zeros
from strandline.tables.changes import TableDelta
from strandline.tables.table import DenseTable, SparseTable, Table, TableSchema, empty_table

DENSE = TableSchema("a.dense", 2, "float32", 64)
SPARSE = TableSchema("a.sparse", 2, "int64")


def rows_of(schema: TableSchema, *rows: int) -> np.ndarray[Any, Any]:
    return np.array(rows, schema.row_dtype)


def values_of(schema: TableSchema, *values: tuple[int, ...]) -> np.ndarray[Any, Any]:
    return np.array(values, schema.value_dtype).reshape(len(values), schema.width)


Steps = list[tuple[str, dict[int, tuple[int, int]]]]


@pytest.mark.parametrize("schema", [DENSE, SPARSE], ids=["dense", "sparse"])
@settings(deadline=None)  # the first example compiles the index
@given(
    steps=st.lists(
        st.tuples(
            st.sampled_from(["assign", "add", "fetch_add"]),
            st.dictionaries(
                st.integers(0, 63), st.tuples(st.integers(-9, 9), st.integers(-9, 9)), max_size=40
            ),
        ),
        max_size=8,
    )
)
def test_a_table_is_a_dictionary_of_its_rows(schema: TableSchema, steps: Steps) -> None:
    table = empty_table(schema)
    # The sparse table's ids are spread over the 64 bits.
    spread = 1 if schema.row_count else 2**58 - 1
    expected: dict[int, tuple[int, int]] = {}
    for step, changes in steps:
        ordered = sorted((row * spread, change) for row, change in changes.items())
        rows = rows_of(schema, *(row for row, _ in ordered))
        values = values_of(schema, *(change for _, change in ordered))
        fetched = getattr(table, step)(rows, values)
        if step == "fetch_add":
            before = [expected.get(row, (0, 0)) for row, _ in ordered]
            assert list(map(tuple, fetched.tolist())) == before
        for row, (a, b) in ordered:
            old = (0, 0) if step == "assign" else expected.get(row, (0, 0))
            expected[row] = (old[0] + a, old[1] + b)
    asked = rows_of(schema, *(row * spread for row in reversed(range(64))))
    found = {int(r): tuple(v) for r, v in zip(asked, table.gather(asked).tolist(), strict=True)}
    assert found == {row: expected.get(row, (0, 0)) for row in found}
    rows, values = table.items()
    present = {row: value for row, value in sorted(expected.items()) if value != (0, 0)}
    assert rows.dtype == schema.row_dtype
    assert dict(zip(rows.tolist(), map(tuple, values.tolist()), strict=True)) == present
    assert rows.tolist() == list(present)


@pytest.mark.parametrize("schema", [DENSE, SPARSE], ids=["dense", "sparse"])
def test_a_copy_is_independent(schema: TableSchema) -> None:
    table = empty_table(schema)
    table.add(rows_of(schema, 3), values_of(schema, (1, 2)))
    twin = table.copy()
    table.add(rows_of(schema, 3, 4), values_of(schema, (1, 2), (5, 6)))
    twin.add(rows_of(schema, 5), values_of(schema, (7, 7)))
    assert twin.items()[0].tolist() == [3, 5]
    assert twin.gather(rows_of(schema, 3)).tolist() == [[1, 2]]
    assert table.items()[0].tolist() == [3, 4]


@pytest.mark.parametrize("schema", [DENSE, SPARSE], ids=["dense", "sparse"])
def test_gathered_values_are_a_copy(schema: TableSchema) -> None:
    table = empty_table(schema)
    table.add(rows_of(schema, 3), values_of(schema, (1, 2)))
    table.gather(rows_of(schema, 3))[:] = 9
    table.items()[1][:] = 9
    assert table.gather(rows_of(schema, 3)).tolist() == [[1, 2]]


def test_a_sparse_table_grows_past_many_rows() -> None:
    rng = np.random.default_rng(1)
    table = SparseTable(SPARSE)
    rows = np.unique(rng.integers(0, 2**63, 50_000, dtype=np.uint64))
    values = np.stack((np.arange(len(rows)), np.ones(len(rows))), axis=1).astype(np.int64)
    for part in np.array_split(np.arange(len(rows)), 37):
        table.add(rows[part], values[part])
        table.add(rows[part], values[part])
    assert table.items()[0].tolist() == rows.tolist()
    assert np.array_equal(table.gather(rows), 2 * values)
    assert not table.gather(rows + np.uint64(1))[~np.isin(rows + np.uint64(1), rows)].any()


def test_a_read_only_dense_table_reads_and_refuses_change() -> None:
    values = np.ones((64, 2), np.float32)
    values.flags.writeable = False
    table = DenseTable(DENSE, values)
    assert table.gather(rows_of(DENSE, 1)).tolist() == [[1, 1]]
    with pytest.raises(ValueError, match="read-only"):
        table.add(rows_of(DENSE, 1), values_of(DENSE, (1, 1)))


@pytest.mark.parametrize(
    ("rows", "values", "message"),
    [
        (np.array([2, 1], np.uint32), np.zeros((2, 2), np.float32), "not sorted and unique"),
        (np.array([1, 1], np.uint32), np.zeros((2, 2), np.float32), "not sorted and unique"),
        (np.array([1, 64], np.uint32), np.zeros((2, 2), np.float32), "row 64 of a table of 64"),
        (np.array([1], np.int64), np.zeros((1, 2), np.float32), "rows are int64"),
        (np.array([[1]], np.uint32), np.zeros((1, 2), np.float32), r"uint32\[1, 1\]"),
        (np.array([1], np.uint32), np.zeros((1, 2), np.float64), "values are float64"),
        (np.array([1], np.uint32), np.zeros((1, 3), np.float32), r"float32\[1, 3\]"),
        (np.array([1], np.uint32), np.zeros((2, 2), np.float32), r"expected float32\[1, 2\]"),
    ],
)
def test_rows_and_values_that_break_the_contract_are_refused(
    rows: np.ndarray[Any, Any], values: np.ndarray[Any, Any], message: str
) -> None:
    table: Table = DenseTable(DENSE)
    for change in (table.add, table.assign):
        with pytest.raises(ValueError, match=message):
            change(rows, values)
    assert len(table.items()[0]) == 0


def test_a_gather_out_of_range_is_refused() -> None:
    with pytest.raises(ValueError, match="row 64"):
        DenseTable(DENSE).gather(np.array([64], np.uint32))


def test_a_delta_knows_whether_it_is_finite() -> None:
    rows, add = np.array([1], np.uint32), np.zeros((1, 2), np.float32)
    assert TableDelta(rows, add, {"dw": np.zeros(1, np.float32)}).finite
    assert not TableDelta(rows, add + np.inf, {}).finite
    assert not TableDelta(rows, add, {"dw": np.full(1, np.nan, np.float32)}).finite


def test_an_absent_row_of_a_full_sparse_table_is_zero() -> None:
    """64 rows fill the first storage, so its last row holds a value too."""
    table = SparseTable(SPARSE)
    table.add(np.arange(64, dtype=np.uint64), np.ones((64, 2), np.int64))
    assert table.gather(rows_of(SPARSE, 63, 64, 2**64 - 1)).tolist() == [[1, 1], [0, 0], [0, 0]]


def test_a_copied_sparse_table_has_an_index_of_its_own() -> None:
    table = SparseTable(SPARSE)
    table.add(rows_of(SPARSE, 3), values_of(SPARSE, (1, 2)))
    twin = table.copy()
    for each in (table, twin):
        each.add(rows_of(SPARSE, 0), values_of(SPARSE, (5, 6)))
        assert each.items()[0].tolist() == [0, 3]


def test_a_moved_table_keeps_its_rows_and_leaves_what_lies_beside_them() -> None:
    table, twin = DenseTable(DENSE), DenseTable(DENSE)
    for each in (table, twin):
        each.assign(rows_of(DENSE, 3, 9), values_of(DENSE, (1, 2), (3, 4)))
    memory = np.full((64, 5), 7, np.float32)
    table.move(memory)
    for each in (table, twin):
        each.add(rows_of(DENSE, 0, 9), values_of(DENSE, (5, 6), (7, 8)))
        each.assign(rows_of(DENSE, 1, 63), values_of(DENSE, (9, 10), (11, 12)))
    assert table.values.tolist() == twin.values.tolist() == memory[:, :2].tolist()
    assert (memory[:, 2:] == 7).all()
    asked = rows_of(DENSE, 63, 3, 0)
    assert table.gather(asked).tolist() == twin.gather(asked).tolist()
    for found, expected in zip(table.items(), twin.items(), strict=True):
        assert found.tolist() == expected.tolist()
    copied = table.copy()
    table.assign(rows_of(DENSE, 3), values_of(DENSE, (0, 0)))
    assert copied.values.tolist() == twin.values.tolist()


@pytest.mark.parametrize("shape", [(3,), (5, 2), (1 << 20, 2)])
def test_zeros_begin_with_a_cache_line(shape: tuple[int, ...]) -> None:
    array = zeros(shape, np.dtype(np.float32))
    assert array.shape == shape
    assert array.ctypes.data % LINE_BYTES == 0
    assert not array.any()
    assert array.flags.c_contiguous
    assert array.flags.writeable
