"""Delta files: the merged change of one epoch, as a version names it.

A safetensors file with, per changed table, `<table>/rows` (sorted, unique row ids) and
`<table>/add` (the change of each row, in the table's dtype). To apply it is to add it. The
metadata says whose epoch it is, so that garbage can be told from what is still in doubt.
"""

import json
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import Final, TypeAlias

import numpy as np

from strandline.canonical import canonical_json
from strandline.errors import DeltaDamaged, StoreDamaged
from strandline.tables import Changes, TableSchema
from strandline.tensors import Tensors, decode, encode

FORMAT: Final = "1"
METADATA_KEYS: Final = {"before", "format", "run", "shard", "shards", "stream"}

ModelChanges: TypeAlias = dict[str, Changes]
Schemas: TypeAlias = Mapping[str, TableSchema]


@dataclass(frozen=True, slots=True)
class DeltaFile:
    """A delta file's content. `before` maps a partition to the epoch's first position in it."""

    stream: str
    run: str
    before: Mapping[str, int]
    changes: ModelChanges

    def encode(self) -> bytes:
        """Return the file: the same bytes for the same content. Empty tables are left out."""
        tensors: Tensors = {}
        for name, change in self.changes.items():
            if len(change.rows):
                tensors[f"{name}/rows"] = change.rows
                tensors[f"{name}/add"] = change.add
        metadata = {
            "before": canonical_json(dict(self.before)).decode("ascii"),
            "format": FORMAT,
            "run": self.run,
            "shard": "0",
            "shards": "1",
            "stream": self.stream,
        }
        return encode(tensors, metadata)

    @classmethod
    def decode(cls, data: bytes | memoryview, schemas: Schemas) -> "DeltaFile":
        """Read a delta file of a model whose tables are `schemas`.

        Raises
        ------
        DeltaDamaged
            If it is no such file, or holds anything that cannot be added to these tables:
            unknown names, other dtypes or shapes, rows unsorted, repeated or out of range,
            a value that is not finite.
        """
        try:
            tensors, metadata = decode(data)
        except StoreDamaged as error:
            raise DeltaDamaged(f"delta file: {error}") from error
        if set(metadata) != METADATA_KEYS or metadata["format"] != FORMAT:
            raise DeltaDamaged(
                f"delta file: format {metadata.get('format')!r} with metadata {sorted(metadata)};"
                f" this release reads format {FORMAT!r} with {sorted(METADATA_KEYS)}"
            )
        before = _positions(metadata["before"])
        changes = {
            name: _changes(name, tensors, schemas) for name in table_names(tensors, ("rows", "add"))
        }
        return cls(metadata["stream"], metadata["run"], before, changes)


@dataclass(frozen=True, slots=True)
class Origin:
    """Whose epoch a delta file is, and where the epoch began in each partition that it moved."""

    stream: str
    run: str
    before: Mapping[str, int]


def read_origin(data: bytes | memoryview) -> Origin:
    """Return what a delta file's metadata says; raises StoreDamaged if this is no such file."""
    _, metadata = decode(data)
    if set(metadata) != METADATA_KEYS or metadata["format"] != FORMAT:
        raise StoreDamaged(f"not a delta file of format {FORMAT}: metadata {sorted(metadata)}")
    return Origin(metadata["stream"], metadata["run"], _positions(metadata["before"]))


def table_names(tensors: Iterable[str], parts: tuple[str, ...]) -> list[str]:
    """Return the tables that the tensors `<table>/<part>` belong to, sorted.

    Raises `DeltaDamaged` unless every table has exactly these parts.
    """
    found: dict[str, set[str]] = {}
    for tensor in tensors:
        table, _, part = tensor.rpartition("/")
        found.setdefault(table, set()).add(part)
    for table, have in found.items():
        if have != set(parts):
            raise DeltaDamaged(f"table {table!r}: tensors {sorted(have)}, expected {sorted(parts)}")
    return sorted(found)


def _positions(text: str) -> dict[str, int]:
    try:
        before = json.loads(text)
    except (ValueError, RecursionError) as error:
        raise DeltaDamaged(f"delta file: `before` is no JSON: {error}") from error
    if not isinstance(before, dict) or not all(type(at) is int for at in before.values()):
        raise DeltaDamaged(f"delta file: `before` is {text[:200]!r}, expected positions")
    return before


def _changes(name: str, tensors: Tensors, schemas: Schemas) -> Changes:
    schema = schemas.get(name)
    if schema is None:
        raise DeltaDamaged(f"table {name!r}: the spec has only {sorted(schemas)}")
    rows, add = tensors[f"{name}/rows"], tensors[f"{name}/add"]
    if rows.dtype != schema.row_dtype or rows.ndim != 1:
        raise DeltaDamaged(
            f"table {name!r}: rows are {rows.dtype} of shape {rows.shape},"
            f" expected {np.dtype(schema.row_dtype)} in one dimension"
        )
    if add.dtype != np.dtype(schema.dtype) or add.shape != (len(rows), schema.width):
        raise DeltaDamaged(
            f"table {name!r}: changes are {add.dtype} of shape {add.shape},"
            f" expected {schema.dtype} of shape {(len(rows), schema.width)}"
        )
    if not np.all(rows[1:] > rows[:-1]):
        raise DeltaDamaged(f"table {name!r}: rows are not sorted, or one occurs twice")
    if schema.row_count is not None and len(rows) and rows[-1] >= schema.row_count:
        raise DeltaDamaged(f"table {name!r}: row {rows[-1]} of a table of {schema.row_count} rows")
    if not np.all(np.isfinite(add)):
        raise DeltaDamaged(f"table {name!r}: a change is not finite")
    return Changes(rows, add)
