"""Parameters as tables of rows, and how a change of rows is applied.

A row id is an unsigned integer (a hashed slot or a hashed key), a row a short vector of one
declared type. An absent row reads as zero, so a table is a function of its non-zero rows alone.
"""

from collections.abc import Iterable, Mapping
from typing import Any, Literal, Protocol, Self

import msgspec
import numpy as np
from numpy.typing import NDArray

from strandline.kernels.arrays import read_only, zeros
from strandline.tables import row_index, row_kernels
from strandline.tables.changes import Changes, Values
from strandline.tables.sorted_rows import Rows

Operation = Literal["add", "max", "set"]
"""What a change does to a row: adds to it, raises it element by element, or takes its place."""

_SPARSE_ROWS_MIN = 64


class TableSchema(msgspec.Struct, frozen=True):
    """What a table holds.

    Parameters
    ----------
    name
        ``"<learner>.<table>"``.
    width
        Numbers per row.
    dtype
        The type of every number.
    row_count
        Row ids of a dense table lie in [0, row_count). None: a sparse table of 64-bit ids.
    operation
        What every change of the table does, a worker's and a version's.
    """

    name: str
    width: int
    dtype: Literal["float32", "float64", "int64"]
    row_count: int | None = None
    operation: Operation = "add"

    @property
    def row_dtype(self) -> np.dtype[Any]:
        """uint32 for a dense table, uint64 for a sparse one."""
        return np.dtype(np.uint64 if self.row_count is None else np.uint32)

    @property
    def value_dtype(self) -> np.dtype[Any]:
        """`dtype` as numpy's."""
        return np.dtype(self.dtype)

    def check_rows(self, rows: Rows) -> None:
        """Raise ValueError unless rows are of the row type, one-dimensional and in range."""
        if rows.dtype != self.row_dtype or rows.ndim != 1:
            raise ValueError(
                f"table {self.name}: rows are {rows.dtype}{list(rows.shape)}, "
                f"expected {self.row_dtype}[n]"
            )
        if self.row_count is not None and len(rows) and int(rows.max()) >= self.row_count:
            raise ValueError(
                f"table {self.name}: row {int(rows.max())} of a table of {self.row_count} rows"
            )

    def check(self, rows: Rows, values: Values) -> None:
        """Raise ValueError unless (rows, values) may be added to or assigned in such a table.

        Rows must pass `check_rows` and be sorted and unique, values have this schema's type and
        the shape [n, width]. Values need not be finite.
        """
        self.check_rows(rows)
        if not row_kernels.ascend(read_only(rows, self.row_dtype)):
            raise ValueError(f"table {self.name}: rows are not sorted and unique")
        if values.dtype != self.value_dtype or values.shape != (len(rows), self.width):
            raise ValueError(
                f"table {self.name}: values are {values.dtype}{list(values.shape)}, "
                f"expected {self.value_dtype}[{len(rows)}, {self.width}]"
            )


class Table(Protocol):
    """Rows of one schema. `gather` takes any rows, all that changes them sorted unique ones."""

    @property
    def schema(self) -> TableSchema: ...

    def gather(self, rows: Rows) -> Values:
        """Return a copy of the rows' values [n, width]; absent rows are zero."""

    def add(self, rows: Rows, changes: Values) -> None:
        """Add in the table's dtype, which decides the bits: everybody adds in the same type."""

    def fetch_add(self, rows: Rows, changes: Values) -> Values:
        """Add, and return what the rows' values were before, in one pass over the table."""

    def assign(self, rows: Rows, values: Values) -> None:
        """Set the rows' values."""

    def items(self) -> tuple[Rows, Values]:
        """Return the rows with a non-zero number, sorted, and a copy of their values."""

    def copy(self) -> Self:
        """Return an independent table of the same rows."""


Parameters = dict[str, Table]


def apply_changes(parameters: Parameters, files: Iterable[Mapping[str, Changes]]) -> None:
    """Apply changes to the parameters, in place and in order: worker, merger, reader and base."""
    for changes in files:
        for name, change in changes.items():
            _apply(parameters[name], change)


def fetch_and_apply(table: Table, change: Changes) -> Values:
    """Apply a change to its table, in place, and return what its rows were before."""
    if table.schema.operation == "add":
        return table.fetch_add(change.rows, change.values)
    before = table.gather(change.rows)
    table.assign(change.rows, changed_rows(table.schema, before, change))
    return before


def _apply(table: Table, change: Changes) -> None:
    rows, values = change.rows, change.values
    match table.schema.operation:
        case "add":
            table.add(rows, values)
        case "max":
            table.schema.check(rows, values)
            table.assign(rows, _raised(table.gather(rows), values))
        case "set":
            table.assign(rows, values)


def changed_rows(schema: TableSchema, before: Values, change: Changes) -> Values:
    """Return what a change makes of its rows, whose values are `before` [n, width]."""
    match schema.operation:
        case "add":
            with np.errstate(
                over="ignore", invalid="ignore"
            ):  # the merger refuses what comes of it
                after: Values = before + change.values
            return after
        case "max":
            return _raised(before, change.values)
        case "set":
            return change.values


def _raised(before: Values, values: Values) -> Values:
    # np.maximum may pick either of 0.0 and -0.0; everybody must hold the same bits.
    raised: Values = np.where(values > before, values, before)
    return raised


class DenseTable:
    """Every row in one array `values` [row_count, width], which learners update.

    A read-only array (a mapped base file) makes a table that can be read but not changed. `values`
    are the first columns of the contiguous array `memory`, in which a learner may keep more beside
    each row.
    """

    def __init__(self, schema: TableSchema, values: Values | None = None) -> None:
        assert schema.row_count is not None, "a dense table has a row count"
        shape = (schema.row_count, schema.width)
        if values is None:
            values = zeros(shape, schema.value_dtype)
        if values.dtype != schema.value_dtype or values.shape != shape:
            raise ValueError(
                f"table {schema.name}: values are {values.dtype}{list(values.shape)}, "
                f"expected {schema.value_dtype}{list(shape)}"
            )
        self.schema = schema
        self.memory = np.require(values, requirements=("C", "A"))

    @property
    def values(self) -> Values:
        """The rows themselves."""
        return self.memory[:, : self.schema.width]

    def move(self, memory: Values) -> None:
        """Keep the rows in `memory` [row_count, width or more] from now on, in its first columns.

        It is C-contiguous and of the table's type, and belongs to the table alone.
        """
        memory[:, : self.schema.width] = self.values
        self.memory = memory

    def gather(self, rows: Rows) -> Values:
        self.schema.check_rows(rows)
        return _gather(self.memory, rows, self.schema.width)

    def add(self, rows: Rows, changes: Values) -> None:
        self.schema.check(rows, changes)
        row_kernels.add(self._writable(), *_inputs(rows, changes))

    def fetch_add(self, rows: Rows, changes: Values) -> Values:
        self.schema.check(rows, changes)
        before = np.empty_like(changes)
        row_kernels.fetch_add(self._writable(), *_inputs(rows, changes), before)
        return before

    def assign(self, rows: Rows, values: Values) -> None:
        self.schema.check(rows, values)
        row_kernels.assign(self._writable(), *_inputs(rows, values))

    def items(self) -> tuple[Rows, Values]:
        rows = np.flatnonzero(self.values.any(axis=1))
        return rows.astype(self.schema.row_dtype), self.values[rows]

    def copy(self) -> Self:
        return type(self)(self.schema, self.values.copy())

    def _writable(self) -> Values:
        if not self.memory.flags.writeable:
            raise ValueError(f"table {self.schema.name} is read-only, expected one to change")
        return self.memory


class SparseTable:
    """The rows that were ever added or assigned, in order of arrival, behind an index.

    Adding n rows costs O(n), amortised over growth by doubling.
    """

    def __init__(self, schema: TableSchema) -> None:
        assert schema.row_count is None, "a sparse table has no row count"
        self.schema = schema
        self._multiplier = row_index.random_multiplier()
        self._count = 0
        self._ids = zeros((_SPARSE_ROWS_MIN,), schema.row_dtype)
        self._values = zeros((_SPARSE_ROWS_MIN, schema.width), schema.value_dtype)
        self._slots = np.full(2 * _SPARSE_ROWS_MIN, row_index.FREE, np.int64)

    def gather(self, rows: Rows) -> Values:
        self.schema.check_rows(rows)
        positions = np.empty(len(rows), np.int64)
        row_index.find(
            self._slots, self._ids, read_only(rows, np.uint64), self._multiplier, positions
        )
        absent = positions == row_index.FREE
        positions[absent] = 0
        values = _gather(self._values, positions, self.schema.width)
        values[absent] = 0
        return values

    def add(self, rows: Rows, changes: Values) -> None:
        self.schema.check(rows, changes)
        positions = self._positions(rows)  # may replace the storage, so it comes first
        row_kernels.add(self._values, *_inputs(positions, changes))

    def fetch_add(self, rows: Rows, changes: Values) -> Values:
        self.schema.check(rows, changes)
        positions, before = self._positions(rows), np.empty_like(changes)
        row_kernels.fetch_add(self._values, *_inputs(positions, changes), before)
        return before

    def assign(self, rows: Rows, values: Values) -> None:
        self.schema.check(rows, values)
        positions = self._positions(rows)
        row_kernels.assign(self._values, *_inputs(positions, values))

    def items(self) -> tuple[Rows, Values]:
        present = np.flatnonzero(self._values[: self._count].any(axis=1))
        order = present[np.argsort(self._ids[present])]
        return self._ids[order], self._values[order]

    def copy(self) -> Self:
        twin = type(self)(self.schema)
        twin._multiplier, twin._count = self._multiplier, self._count
        twin._ids, twin._values = self._ids.copy(), self._values.copy()
        twin._slots = self._slots.copy()
        return twin

    def _positions(self, rows: Rows) -> NDArray[np.int64]:
        """Return each row's position in the storage, making room for the absent ones."""
        positions = np.empty(len(rows), np.int64)
        if self._count + len(rows) > len(self._ids):
            self._grow(self._count + len(rows))
        self._count = row_index.find_or_insert(
            self._slots,
            self._ids,
            self._count,
            read_only(rows, np.uint64),
            self._multiplier,
            positions,
        )
        return positions

    def _grow(self, needed: int) -> None:
        capacity = 1 << (needed - 1).bit_length()
        ids, values = self._ids[: self._count], self._values[: self._count]
        self._ids = zeros((capacity,), self.schema.row_dtype)
        self._values = zeros((capacity, self.schema.width), self.schema.value_dtype)
        self._values[: self._count] = values
        self._slots = np.full(2 * capacity, row_index.FREE, np.int64)
        positions = np.empty(self._count, np.int64)
        row_index.find_or_insert(
            self._slots, self._ids, 0, read_only(ids, np.uint64), self._multiplier, positions
        )


def _inputs(rows: NDArray[Any], values: Values) -> tuple[NDArray[Any], Values]:
    """Return both as the kernels' inputs."""
    return read_only(rows, rows.dtype), read_only(values, values.dtype)


def _gather(values: Values, rows: NDArray[Any], width: int) -> Values:
    out = np.empty((len(rows), width), values.dtype)
    row_kernels.gather(read_only(values, values.dtype), read_only(rows, rows.dtype), out)
    return out


def empty_table(schema: TableSchema) -> Table:
    """Return a table of the schema's kind with no rows."""
    return SparseTable(schema) if schema.row_count is None else DenseTable(schema)
