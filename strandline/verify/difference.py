"""Where a version differs from what training again gives."""

from collections.abc import Mapping
from typing import Any, Final

import msgspec
import numpy as np
from msgspec import structs

from strandline.manifest import FileEntry, TrainBody
from strandline.parameters.delta import DeltaFile, Schemas
from strandline.tables.changes import Changes

_TEXT_CHARS_MAX: Final = 300
_FIELDS: Final = ("counts", "rejects", "deltas", "prequential", "empty", "files")


class Difference(msgspec.Struct, frozen=True, kw_only=True):
    """The first difference of a version.

    `what` names the part of the version. `learner`, `table` and `row` are set if the part is a
    table's row. `recorded` is what the version says, `trained` what training again gives.
    """

    version: int
    what: str
    recorded: str
    trained: str
    learner: str | None = None
    table: str | None = None
    row: int | None = None

    def __str__(self) -> str:
        return (
            f"version {self.version}, {self.what}: the version records {self.recorded},"
            f" training again gives {self.trained}"
        )


def compare_bodies(
    version: int,
    recorded: TrainBody,
    trained: TrainBody,
    files: tuple[Mapping[str, bytes], Mapping[str, bytes]],
    schemas: Schemas,
) -> Difference | None:
    """Return the first difference, rows of tables first; None if there is none.

    `files` are the contents of the delta files, by digest: recorded, then trained. The times of the
    events' records are not compared: they are no part of what was learned.
    """
    pairs = list(zip(recorded.files, trained.files, strict=False))
    for ours, theirs in pairs:
        if ours.sha256 != theirs.sha256:
            found = _compare_files(
                version, ours, files[0][ours.sha256], files[1][theirs.sha256], schemas
            )
            if found is not None:
                return found
    for name in _FIELDS:
        left, right = getattr(recorded, name), getattr(trained, name)
        if left != right:
            return _field(version, name, left, right)
    return None


def _field(version: int, name: str, recorded: Any, trained: Any) -> Difference:
    """Narrow a difference down to one element of a list or one field of a structure."""
    if isinstance(recorded, list) and len(recorded) == len(trained):
        at = next(
            i for i, pair in enumerate(zip(recorded, trained, strict=True)) if pair[0] != pair[1]
        )
        return _field(version, f"{name}[{at}]", recorded[at], trained[at])
    if isinstance(recorded, msgspec.Struct) and type(recorded) is type(trained):
        left, right = structs.asdict(recorded), structs.asdict(trained)
        key = next(key for key in left if left[key] != right[key])
        return _field(version, f"{name}.{key}", left[key], right[key])
    if isinstance(recorded, dict) and recorded.keys() == trained.keys():
        key = next(key for key in recorded if recorded[key] != trained[key])
        return _field(version, f"{name}.{key}", recorded[key], trained[key])
    return Difference(version=version, what=name, recorded=_text(recorded), trained=_text(trained))


def _text(value: Any) -> str:
    text = str(value)
    return text if len(text) <= _TEXT_CHARS_MAX else f"{text[:_TEXT_CHARS_MAX]}…"


def _compare_files(
    version: int, entry: FileEntry, recorded: bytes, trained: bytes, schemas: Schemas
) -> Difference | None:
    """Return the first row that differs; None if only the metadata of the files does."""
    left, right = (DeltaFile.decode(data, schemas).changes for data in (recorded, trained))
    for table in sorted(left.keys() | right.keys()):
        row = _first_row(left.get(table), right.get(table))
        if row is None:
            continue
        learner, _, name = table.rpartition(".")
        shard = f" of shard {entry.shard}" if entry.shards > 1 else ""
        return Difference(
            version=version,
            what=f"learner {learner}, table {name}, row {row}{shard}",
            recorded=_row(left.get(table), row),
            trained=_row(right.get(table), row),
            learner=learner,
            table=name,
            row=row,
        )
    return None


def _first_row(recorded: Changes | None, trained: Changes | None) -> int | None:
    """Return the smallest id of a row whose change differs in a bit."""
    left, right = (_rows(change) for change in (recorded, trained))
    differing = [row for row in left.keys() | right.keys() if left.get(row) != right.get(row)]
    return min(differing, default=None)


def _rows(change: Changes | None) -> dict[int, bytes]:
    if change is None:
        return {}
    values = np.ascontiguousarray(change.values)
    return {row: values[at].tobytes() for at, row in enumerate(change.rows.tolist())}


def _row(change: Changes | None, row: int) -> str:
    if change is None or row not in change.rows:
        return "no change"
    at = np.flatnonzero(change.rows == row)
    return str(change.values[at[0]].tolist())
