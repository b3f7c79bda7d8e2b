"""Deltas that stay in the interpreter: taken once, by the attempt that they are of, or gone."""

import weakref
from concurrent.futures import ThreadPoolExecutor

import numpy as np
import pytest
from msgspec import structs

from strandline.tables.changes import TableDelta
from strandline_flink.operators import held
from strandline_flink.operators.held import Held
from tests.unit.learning.test_worker_delta import DELTA


def test_what_is_handed_over_is_taken_as_it_is_and_once() -> None:
    worker = Held()
    keys = [worker.hand_over(structs.replace(DELTA, seq=seq)) for seq in (1, 2)]
    assert [Held.take(key).seq for key in reversed(keys)] == [2, 1]
    for key in keys:
        with pytest.raises(LookupError, match="it was taken before"):
            Held.take(key)
    assert worker._deltas == {}


def test_what_nobody_took_goes_with_its_attempt() -> None:
    ended, other = Held(), Held()
    rows = np.arange(4, dtype=np.uint32)
    table = TableDelta(rows, np.zeros((4, 2), np.float32))
    left = ended.hand_over(structs.replace(DELTA, tables={"ctr.zn": table}))
    kept = other.hand_over(DELTA)
    memory = weakref.ref(rows)
    del rows, table, ended
    assert memory() is None
    assert left not in held._OWNERS
    with pytest.raises(LookupError, match="its attempt has ended"):
        Held.take(left)
    assert Held.take(kept) is DELTA


def test_workers_and_mergers_take_turns_in_threads_of_their_own() -> None:
    def worker(_: int) -> int:
        mine = Held()
        with ThreadPoolExecutor(1) as merger:
            keys = (mine.hand_over(structs.replace(DELTA, seq=seq)) for seq in range(2000))
            taken = [merger.submit(Held.take, key) for key in keys]
            assert [each.result().seq for each in taken] == list(range(2000))
        return len(mine._deltas)

    with ThreadPoolExecutor(4) as workers:
        assert list(workers.map(worker, range(4))) == [0] * 4
