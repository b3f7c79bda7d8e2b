"""Delta files: the merged change of one shard and epoch, as a version names it.

A safetensors file with, per changed table, `<table>/rows` (sorted, unique row ids) and one tensor
of values, in the table's dtype, which is named after the operation that applies it: `<table>/add`,
`<table>/max` or `<table>/set`. The metadata says whose epoch it is, so that garbage can be told
from what is still in doubt, and of which shard its rows are.
"""

import json
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Final, TypeAlias

from strandline.encoding.canonical import canonical_json
from strandline.encoding.tensors import Tensors, decode, encode
from strandline.errors import DeltaDamaged, StoreDamaged
from strandline.limits import SHARDS_MAX
from strandline.tables.changes import Changes
from strandline.tables.shards import WHOLE, Shard
from strandline.tables.table import TableSchema

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
    shard: Shard = WHOLE

    def encode(self, schemas: Schemas) -> bytes:
        """Return the file: the same bytes for the same content. Empty tables are left out.

        Raises `DeltaDamaged` if a table is none of `schemas`; nothing else is checked.
        """
        tensors: Tensors = {}
        for name, change in self.changes.items():
            if len(change.rows):
                tensors[f"{name}/rows"] = change.rows
                tensors[f"{name}/{_schema(name, schemas).operation}"] = change.values
        metadata = {
            "before": canonical_json(dict(self.before)).decode("ascii"),
            "format": FORMAT,
            "run": self.run,
            "shard": str(self.shard.number),
            "shards": str(self.shard.of),
            "stream": self.stream,
        }
        return encode(tensors, metadata)

    @classmethod
    def decode(cls, data: bytes | memoryview, schemas: Schemas) -> "DeltaFile":
        """Read a delta file of a model whose tables are `schemas`.

        Raises
        ------
        DeltaDamaged
            If it is no such file, or holds anything that cannot be applied to these tables:
            unknown names, another operation than the table's, other dtypes or shapes, rows
            unsorted, repeated, out of range or of another shard, a value that is not finite.
        """
        try:
            tensors, metadata = decode(data)
        except StoreDamaged as error:
            raise DeltaDamaged(f"delta file: {error}") from error
        origin, shard = _origin(metadata), _shard(metadata)
        tables = sorted({tensor.rpartition("/")[0] for tensor in tensors})
        changes = {name: _changes(_schema(name, schemas), tensors) for name in tables}
        for name, change in changes.items():
            if shard != WHOLE and not shard.holds(change.rows).all():
                raise DeltaDamaged(
                    f"table {name!r}: rows of other shards in the file of shard {shard.number} of"
                    f" {shard.of}"
                )
        return cls(origin.stream, origin.run, origin.before, changes, shard)


@dataclass(frozen=True, slots=True)
class Origin:
    """Whose epoch a delta file is, and where the epoch began in each partition that it moved."""

    stream: str
    run: str
    before: Mapping[str, int]


def read_origin(data: bytes | memoryview) -> Origin:
    """Return what a delta file's metadata says; raises StoreDamaged if this is no such file."""
    _, metadata = decode(data)
    return _origin(metadata)


def _origin(metadata: Mapping[str, str]) -> Origin:
    if set(metadata) != METADATA_KEYS or metadata["format"] != FORMAT:
        raise DeltaDamaged(
            f"delta file: format {metadata.get('format')!r} with metadata {sorted(metadata)};"
            f" this release reads format {FORMAT!r} with {sorted(METADATA_KEYS)}"
        )
    return Origin(metadata["stream"], metadata["run"], _positions(metadata["before"]))


def _shard(metadata: Mapping[str, str]) -> Shard:
    index, count = metadata["shard"], metadata["shards"]
    known = {str(number): number for number in range(SHARDS_MAX + 1)}
    if index not in known or count not in known or known[index] >= known[count]:
        raise DeltaDamaged(
            f"delta file: shard {index[:20]!r} of {count[:20]!r}, expected 1 to {SHARDS_MAX}"
            " shards, numbered from 0"
        )
    return Shard(known[index], known[count])


def _positions(text: str) -> dict[str, int]:
    try:
        before = json.loads(text)
    except (ValueError, RecursionError) as error:
        raise DeltaDamaged(f"delta file: `before` is no JSON: {error}") from error
    if not isinstance(before, dict) or not all(type(at) is int for at in before.values()):
        raise DeltaDamaged(f"delta file: `before` is {text[:200]!r}, expected positions")
    return before


def _schema(name: str, schemas: Schemas) -> TableSchema:
    if name not in schemas:
        raise DeltaDamaged(f"table {name!r}: the spec has only {sorted(schemas)}")
    return schemas[name]


def _changes(schema: TableSchema, tensors: Tensors) -> Changes:
    name = schema.name
    have = sorted(tensor for tensor in tensors if tensor.rpartition("/")[0] == name)
    expected = sorted((f"{name}/rows", f"{name}/{schema.operation}"))
    if have != expected:
        raise DeltaDamaged(f"table {name!r}: tensors {have}, expected {expected}")
    rows, values = tensors[f"{name}/rows"], tensors[f"{name}/{schema.operation}"]
    try:
        schema.check(rows, values)
    except ValueError as error:
        raise DeltaDamaged(str(error)) from error
    changes = Changes(rows, values)
    if not changes.finite:
        raise DeltaDamaged(f"table {name!r}: a change is not finite")
    return changes
