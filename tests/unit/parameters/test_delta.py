"""Delta files: the same bytes for the same content, and what readers refuse."""

from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from numpy.typing import NDArray

from strandline.encoding.tensors import decode, encode
from strandline.errors import DeltaDamaged
from strandline.parameters.delta import DeltaFile
from strandline.tables.changes import Changes
from strandline.tables.shards import Shard
from tests.golden.make_delta_files import SCHEMAS, delta_file, golden, shard_file

Damage = Callable[[dict[str, NDArray[Any]], dict[str, str]], object]


@pytest.mark.parametrize("path", golden(), ids=lambda path: f"{path.parent.name}-{path.stem}")
def test_golden_files_have_not_changed(path: Path) -> None:
    assert path.read_bytes() == golden()[path]


def test_a_golden_file_is_read() -> None:
    path, _ = (path for path in golden() if path.parent.name == "delta")
    expected, found = delta_file(), DeltaFile.decode(path.read_bytes(), SCHEMAS)
    assert (found.stream, found.run) == (expected.stream, expected.run)
    assert found.before == {"0": 100, "10": 7, "2": 0}
    assert found.changes.keys() == expected.changes.keys()
    for name, change in expected.changes.items():
        np.testing.assert_array_equal(found.changes[name].rows, change.rows)
        np.testing.assert_array_equal(found.changes[name].values, change.values)


def test_a_golden_file_of_a_shard_is_read() -> None:
    _, path = (path for path in golden() if path.parent.name == "delta")
    found = DeltaFile.decode(path.read_bytes(), SCHEMAS)
    assert found.shard == Shard(1, 3)
    rows = {name: change.rows.tolist() for name, change in found.changes.items()}
    assert rows == {"ctr.zn": [1], "popularity.counts": [7]}


def test_rows_of_another_shard_are_refused() -> None:
    tensors, metadata = decode(shard_file().encode(SCHEMAS))
    metadata["shard"] = "2"
    with pytest.raises(DeltaDamaged, match="rows of other shards in the file of shard 2 of 3"):
        DeltaFile.decode(encode(tensors, metadata), SCHEMAS)


def test_a_table_without_rows_is_left_out() -> None:
    empty = Changes(np.empty(0, np.uint32), np.empty((0, 2), np.float32))
    data = DeltaFile("events", "0" * 32, {}, {"ctr.zn": empty}).encode(SCHEMAS)
    assert DeltaFile.decode(data, SCHEMAS).changes == {}


def put(name: str, value: NDArray[Any]) -> Damage:
    return lambda tensors, _: tensors.update({name: value})


def move(name: str, to: str) -> Damage:
    return lambda tensors, _: tensors.update({to: tensors.pop(name)})


def say(key: str, value: str) -> Damage:
    return lambda _, metadata: metadata.update({key: value})


@pytest.mark.parametrize(
    ("damage", "says"),
    [
        (say("format", "2"), "format '2'"),
        (say("extra", "1"), "extra"),
        (lambda _, metadata: metadata.pop("run"), "metadata"),
        (say("before", "{"), "no JSON"),
        (say("shard", "1"), "shard '1' of '1'"),
        (say("shard", "-1"), "shard '-1' of"),
        (say("shards", "0"), "of '0', expected 1 to 128"),
        (say("shards", "01"), "of '01'"),
        (say("shards", "129"), "of '129'"),
        (say("shards", "9" * 5000), "of '99999999999999999999',"),
        (say("before", '{"0":true}'), "expected positions"),
        (say("before", "[1]"), "expected positions"),
        (lambda tensors, _: tensors.pop("ctr.zn/rows"), r"'ctr.zn': tensors \['ctr.zn/add'\]"),
        (move("ctr.zn/add", "ctr.zn/set"), r"'ctr.zn/set'\], expected \['ctr.zn/add'"),
        (move("peak.times/max", "peak.times/add"), r"expected \['peak.times/max'"),
        (move("last.row/set", "last.row/add"), r"expected \['last.row/rows', 'last.row/set'"),
        (put("ctr.zn/max", np.ones((2, 2), np.float32)), r"'ctr.zn/max', 'ctr.zn/rows'\], exp"),
        (put("ctr.zn/dw", np.ones(2, np.float32)), "dw"),
        (put("loose", np.ones(2, np.float32)), "table ''"),
        (put("ctr.zn/rows", np.array([1, 6], np.uint64)), "rows are uint64"),
        (
            put("ctr.zn/rows", np.array([[1, 6]], np.uint32)),
            r"rows are uint32\[1, 2\], expected uint32\[n\]",
        ),
        (put("ctr.zn/rows", np.array([6, 1], np.uint32)), "not sorted"),
        (put("ctr.zn/rows", np.array([6, 6], np.uint32)), "not sorted and unique"),
        (put("ctr.zn/rows", np.array([1, 8], np.uint32)), "row 8 of a table of 8"),
        (put("ctr.zn/add", np.ones((2, 2))), "values are float64"),
        (put("ctr.zn/add", np.ones((2, 3), np.float32)), r"values are float32\[2, 3\]"),
        (put("ctr.zn/add", np.ones((1, 2), np.float32)), r"values are float32\[1, 2\]"),
        (put("ctr.zn/add", np.full((2, 2), np.inf, np.float32)), "not finite"),
        (put("ctr.zn/add", np.full((2, 2), np.nan, np.float32)), "not finite"),
    ],
)
def test_what_cannot_be_applied_is_refused(damage: Damage, says: str) -> None:
    tensors, metadata = decode(delta_file().encode(SCHEMAS))
    damage(tensors, metadata)
    with pytest.raises(DeltaDamaged, match=says):
        DeltaFile.decode(encode(tensors, metadata), SCHEMAS)


def test_a_delta_of_another_model_is_refused() -> None:
    with pytest.raises(DeltaDamaged, match=r"'last.row': the spec has only \['ctr.zn'\]"):
        DeltaFile.decode(delta_file().encode(SCHEMAS), {"ctr.zn": SCHEMAS["ctr.zn"]})


def test_a_file_cut_short_is_refused() -> None:
    with pytest.raises(DeltaDamaged, match="delta file: tensor"):
        DeltaFile.decode(delta_file().encode(SCHEMAS)[:-1], SCHEMAS)
