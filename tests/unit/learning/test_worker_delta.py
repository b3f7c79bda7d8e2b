"""A worker's delta over the wire."""

import numpy as np
import pytest
from msgspec import structs

from strandline.encoding.tensors import decode, encode
from strandline.errors import DeltaDamaged
from strandline.learning.worker_delta import WorkerDelta
from strandline.manifest import Prequential, Span
from strandline.tables.changes import TableDelta

SUMS = Prequential(
    events=2, labels=1.0, log_loss=0.1 + 0.2, predictions=0.5, squared_error=0.2, weight=2.0
)
DELTA = WorkerDelta(
    worker=3,
    seq=57,
    adopted=123,
    pending=(55, 56),
    moves=(Span(0, 100, 150), Span(1, 7, 17)),
    spans=(Span(1, 7, 17), Span(0, 100, 150)),
    events=60,
    learned=58,
    rejected=2,
    refused=None,
    reasons={"not_json": 2},
    prequential={"ctr": SUMS},
    event_time_ms=(5, 9),
    time_ms=11,
    tables={
        "ctr.zn": TableDelta(
            np.array([1, 4], np.uint32),
            np.array([[1, 2], [3, 4]], np.float32),
            {"dw": np.array([0.5, 1], np.float32), "touches": np.array([1, 2], np.uint32)},
        ),
        "popularity.counts": TableDelta(
            np.array([2**64 - 1], np.uint64), np.array([[60, 3]], np.int64)
        ),
    },
    rejects=b'{"reason":"not_json"}\n',
)


def test_what_is_sent_arrives() -> None:
    found = WorkerDelta.decode(DELTA.encode())
    for name in WorkerDelta.__struct_fields__:
        if name != "tables":
            assert getattr(found, name) == getattr(DELTA, name), name
    assert found.tables.keys() == DELTA.tables.keys()
    for name, table in DELTA.tables.items():
        np.testing.assert_array_equal(found.tables[name].rows, table.rows)
        np.testing.assert_array_equal(found.tables[name].values, table.values)
        assert found.tables[name].stats.keys() == table.stats.keys()
        for stat, values in table.stats.items():
            np.testing.assert_array_equal(found.tables[name].stats[stat], values)
            assert found.tables[name].stats[stat].dtype == values.dtype


def test_a_delta_without_tables_and_rejects_arrives() -> None:
    empty = structs.replace(DELTA, tables={}, rejects=b"")
    found = WorkerDelta.decode(empty.encode())
    assert (found.tables, found.rejects) == ({}, b"")


@pytest.mark.parametrize("shards", [1, 2])
def test_what_is_for_mergers_is_read_only_and_without_what_rows_were_before(shards: int) -> None:
    rows, values = np.array([1, 4], np.uint32), np.array([[1, 2], [3, 4]], np.float32)
    table = TableDelta(rows, values, {"dw": np.array([0.5, 1], np.float32)}, before=values + 1)
    parts = structs.replace(DELTA, tables={"ctr.zn": table}).split(shards)
    assert [part.rejects for part in parts] == [DELTA.rejects, b""][:shards]
    for part in parts:
        sent = part.tables["ctr.zn"]
        assert sent.before is None
        for array in (sent.rows, sent.values, *sent.stats.values()):
            with pytest.raises(ValueError, match="read-only"):
                array[...] = 0
    assert values.flags.writeable, "the worker's own are as they were"


def test_what_is_no_delta_is_refused() -> None:
    tensors, metadata = decode(DELTA.encode())
    with pytest.raises(DeltaDamaged, match="without header"):
        WorkerDelta.decode(encode(tensors, {}))
    with pytest.raises(DeltaDamaged, match="without header"):
        WorkerDelta.decode(encode(tensors, {"header": "{}"}))
    del tensors["ctr.zn/rows"]
    with pytest.raises(DeltaDamaged, match=r"'ctr.zn' without \['rows'\]"):
        WorkerDelta.decode(encode(tensors, metadata))
