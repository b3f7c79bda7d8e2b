"""Make the golden delta and base files anew: a change of them is a change of the format.

Run from the repository's root: `python -m tests.golden.make_delta_files`.
"""

from pathlib import Path
from typing import Final

import numpy as np

from strandline.manifest import genesis
from strandline.parameters.base import encode_base
from strandline.parameters.delta import DeltaFile
from strandline.tables.changes import Changes
from strandline.tables.shards import Shard
from strandline.tables.table import Parameters, TableSchema, apply_changes, empty_table

HERE: Final = Path(__file__).parent
SCHEMAS: Final = {
    "ctr.zn": TableSchema("ctr.zn", 2, "float32", 8),
    "popularity.counts": TableSchema("popularity.counts", 2, "int64"),
    "mean.sums": TableSchema("mean.sums", 1, "float64", 4),
    "peak.times": TableSchema("peak.times", 1, "int64", operation="max"),
    "last.row": TableSchema("last.row", 2, "float64", operation="set"),
}


def delta_file() -> DeltaFile:
    changes = {
        "ctr.zn": Changes(
            np.array([1, 6], np.uint32), np.array([[0.5, 0.25], [-1.5, 2]], np.float32)
        ),
        "popularity.counts": Changes(
            np.array([7, 2**63], np.uint64), np.array([[3, 1], [1, 0]], np.int64)
        ),
        "mean.sums": Changes(np.array([2], np.uint32), np.array([[0.1]])),
        "peak.times": Changes(np.array([5], np.uint64), np.array([[1_700_000_000_000]])),
        "last.row": Changes(np.array([5, 6], np.uint64), np.array([[0.1, 2.0], [0.0, 0.0]])),
    }
    return DeltaFile("events", "0" * 31 + "1", {"0": 100, "10": 7, "2": 0}, changes)


def shard_file() -> DeltaFile:
    """The part of the same changes that is of shard 1 of 3; two tables have no such row."""
    whole, shard = delta_file(), Shard(1, 3)
    changes = {name: shard.select(change) for name, change in whole.changes.items()}
    return DeltaFile(whole.stream, whole.run, whole.before, changes, shard)


def parameters() -> Parameters:
    tables: Parameters = {name: empty_table(schema) for name, schema in SCHEMAS.items()}
    apply_changes(tables, [delta_file().changes])
    return tables


def golden() -> dict[Path, bytes]:
    return {
        HERE / "delta" / "every_operation.safetensors": delta_file().encode(SCHEMAS),
        HERE / "delta" / "shard_1_of_3.safetensors": shard_file().encode(SCHEMAS),
        HERE / "base" / "every_operation.safetensors": encode_base(
            0, genesis("0" * 64), parameters()
        ),
    }


if __name__ == "__main__":
    for path, data in golden().items():
        path.write_bytes(data)
