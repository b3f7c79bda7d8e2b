"""What a worker sends to the merger at a mark."""

from collections.abc import Mapping
from typing import Any, Final

import msgspec
import numpy as np
from msgspec import structs
from numpy.typing import NDArray

from strandline.encoding.canonical import canonical_json
from strandline.encoding.structs import ready
from strandline.encoding.tensors import Tensors, decode, encode
from strandline.errors import DeltaDamaged
from strandline.kernels.arrays import read_only
from strandline.manifest import Prequential, Span
from strandline.tables.changes import TableDelta
from strandline.tables.shards import WHOLE, Shard

_HEADER: Final = "header"
_REJECTS: Final = "rejects"
_FIXED: Final = ("rows", "values")


class Header(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """A worker's account of an epoch, without arrays.

    Attributes
    ----------
    worker
        Index of the worker.
    seq
        The worker's number of this delta, from 1; 0 when it holds no events.
    adopted
        The version the worker stood on while it learned.
    pending
        Sequence numbers of its own deltas that it had and `adopted` has not, ascending.
    moves
        Where each of its partitions went between two marks; holes move positions without events.
    spans
        The same positions in the order they were learned.
    events, learned, rejected
        Counts. `events = learned + rejected`, or, when refused, `learned` is 0.
    refused
        Why the whole delta is voted out, None if it is not.
    reasons
        Rejected events by reason.
    prequential
        Sums per predicting learner, of predictions made before learning; empty when refused.
    event_time_ms
        Smallest and largest event time in ms since 1970, (0, 0) without times.
    time_ms
        The time of the mark, in ms since 1970.
    """

    worker: int
    seq: int
    adopted: int
    pending: tuple[int, ...]
    moves: tuple[Span, ...]
    spans: tuple[Span, ...]
    events: int
    learned: int
    rejected: int
    refused: str | None
    reasons: dict[str, int]
    prequential: dict[str, Prequential]
    event_time_ms: tuple[int, int]
    time_ms: int


ready(Header)


class WorkerDelta(Header, frozen=True, kw_only=True):
    """A header, what was learned per table, and the rejected events as JSON lines.

    `tables` is empty when there are no events or the delta is refused.
    """

    tables: Mapping[str, TableDelta]
    rejects: bytes

    @property
    def header(self) -> Header:
        """The account without what was learned."""
        return Header(**{name: getattr(self, name) for name in Header.__struct_fields__})

    def split(self, shards: int) -> list["WorkerDelta"]:
        """Return a delta for each shard: its rows, read-only, and the whole header.

        The rejected events go to shard 0. Whether the delta is refused was decided before. What
        rows were `before` stays with the worker, which may hold the same arrays as its own changes.
        """
        parts = []
        for index in range(shards):
            shard = Shard(index, shards)
            tables = {name: _share(delta, shard) for name, delta in self.tables.items()}
            rejects = b"" if index else self.rejects
            parts.append(structs.replace(self, tables=tables, rejects=rejects))
        return parts

    def encode(self) -> bytes:
        """Return the wire form: safetensors with the header as metadata."""
        tensors: Tensors = {_REJECTS: np.frombuffer(self.rejects, np.uint8)}
        for name, delta in self.tables.items():
            tensors[f"{name}/rows"] = delta.rows
            tensors[f"{name}/values"] = delta.values
            tensors |= {f"{name}/{stat}": values for stat, values in delta.stats.items()}
        text = canonical_json(msgspec.to_builtins(self.header)).decode("ascii")
        return encode(tensors, {_HEADER: text})

    @classmethod
    def decode(cls, data: bytes | memoryview) -> "WorkerDelta":
        """Read the wire form. The arrays are views of `data`."""
        tensors, metadata = decode(data)
        try:
            header = msgspec.json.decode(metadata[_HEADER], type=Header)
            rejects = tensors.pop(_REJECTS).tobytes()
        except (KeyError, msgspec.MsgspecError) as error:
            raise DeltaDamaged(f"a worker's delta without header or rejects: {error}") from error
        tables: dict[str, Tensors] = {}
        for tensor, values in tensors.items():
            table, _, part = tensor.rpartition("/")
            tables.setdefault(table, {})[part] = values
        return cls(
            **structs.asdict(header),
            tables={name: _table_delta(name, tables[name]) for name in sorted(tables)},
            rejects=rejects,
        )


def _share(delta: TableDelta, shard: Shard) -> TableDelta:
    places = None if shard == WHOLE else shard.places(delta.rows)

    def mine(array: NDArray[Any]) -> NDArray[Any]:
        return read_only(array if places is None else array.take(places, axis=0), array.dtype)

    stats = {stat: mine(values) for stat, values in delta.stats.items()}
    return TableDelta(mine(delta.rows), mine(delta.values), stats)


def _table_delta(name: str, parts: Tensors) -> TableDelta:
    missing = [part for part in _FIXED if part not in parts]
    if missing:
        raise DeltaDamaged(f"a worker's delta of table {name!r} without {missing}")
    stats = {part: parts[part] for part in sorted(parts) if part not in _FIXED}
    return TableDelta(parts["rows"], parts["values"], stats)
