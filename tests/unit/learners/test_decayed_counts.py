"""Decayed counts against multiplying every row in every version, and through a store."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from strandline.errors import SecondStream, SpecError
from strandline.learners.decayed_counts import DecayedCounts
from strandline.learners.loading import empty_parameters
from strandline.manifest import TrainBody
from strandline.merge import WorkerChange, merge_table
from strandline.reading.model import open_model
from strandline.reading.reader import Follower
from strandline.spec import CountsSpec, Spec
from strandline.store import create_store, read_manifest
from strandline.tables.changes import TableDelta
from strandline.tables.table import apply_changes
from strandline.transactions.transaction import open_stream
from tests.oracles.decay import decayed

HALF_LIFE_S = 60.0
TREND = """
name = "trend"
label.path = "click"
features.item.kind = "category"
learners.trend = {type = "counts", feature = "item", half_life_s = 60}
"""

counted = st.dictionaries(
    st.integers(0, 5), st.integers(1, 9).flatmap(lambda n: st.tuples(st.just(n), st.integers(0, n)))
)
version = st.tuples(st.integers(0, 500_000), st.lists(counted, min_size=1, max_size=3))


def delta_of(rows: dict[int, tuple[int, int]]) -> TableDelta:
    counts = np.array([rows[r] for r in sorted(rows)], np.int64).reshape(-1, 2)
    stats = {"events": counts[:, 0].copy(), "positives": counts[:, 1].copy()}
    # What a worker holds for the row itself is of no account: a merge goes by the counts.
    return TableDelta(np.array(sorted(rows), np.uint64), np.full((len(rows), 3), 7.0), stats)


@settings(deadline=None)
@given(versions=st.lists(version, min_size=1, max_size=12))
def test_every_version_reads_as_if_all_rows_had_decayed_in_each(
    versions: list[tuple[int, list[dict[int, tuple[int, int]]]]],
) -> None:
    learner = DecayedCounts("trend", CountsSpec(feature="item", half_life_s=HALF_LIFE_S), 0)
    (schema,) = learner.tables
    parameters = empty_parameters({"trend": learner})
    time_ms = 1_700_000_000_000
    history = []
    for later_ms, workers in versions:
        time_ms += later_ms
        parts = [WorkerChange(i, 9, delta_of(rows)) for i, rows in enumerate(workers)]
        changes = merge_table(
            learner, schema, parameters[schema.name], parts[::-1], 9 * len(parts), time_ms=time_ms
        )
        apply_changes(parameters, [{schema.name: changes}])
        sums = {
            key: (sum(w.get(key, (0, 0))[0] for w in workers),
                  sum(w.get(key, (0, 0))[1] for w in workers))
            for key in set().union(*workers)
        }  # fmt: skip
        assert changes.rows.tolist() == sorted(sums)  # the cost is that of the rows touched
        history.append((time_ms, sums))
        expected = decayed(history, 1000 * HALF_LIFE_S)
        rows = parameters[schema.name].gather(np.arange(6, dtype=np.uint64))
        found = learner.at(rows, time_ms)[:, :2]
        for key in range(6):
            assert found[key].tolist() == pytest.approx(expected.get(key, (0, 0)), rel=1e-12)


def test_a_clock_that_was_set_back_undoes_nothing() -> None:
    learner = DecayedCounts("trend", CountsSpec(feature="item", half_life_s=HALF_LIFE_S), 0)
    row = np.array([[8.0, 4.0, 100_000.0]])
    assert learner.at(row, 40_000).tolist() == [[8, 4, 100_000]]
    assert learner.at(row, 160_000).tolist() == [[4, 2, 160_000]]
    assert row.tolist() == [[8, 4, 100_000]]


def event(item: str, click: bool) -> bytes:
    return b'{"item": "%s", "click": %s}' % (item.encode(), b"true" if click else b"false")


def test_counts_halve_between_versions_and_readers_see_their_version_s_time() -> None:
    store = create_store("memory:", Spec.parse(TREND))
    now_ms = [1_000_000]
    stream = open_stream(store, "events", clock_ms=lambda: now_ms[0])
    follower = Follower(store)
    versions = []
    for items in (["hat", "hat"], ["cap"], ["hat"]):
        with stream.begin() as transaction:
            transaction.learn([event(item, click=item == "hat") for item in items])
        versions.append(stream.version)
        now_ms[0] += 60_000
    assert [open_model(store, v).count("hat") for v in versions] == [(2, 2), (1, 1), (1.5, 1.5)]
    assert [open_model(store, v).count("cap") for v in versions] == [(0, 0), (1, 0), (0.5, 0)]
    assert follower.step()
    assert follower.model.count("hat") == (1.5, 1.5)
    body = read_manifest(store, versions[-1]).body
    assert isinstance(body, TrainBody)
    assert body.files[0].rows == {"trend.counts": 1}
    with pytest.raises(SecondStream, match=r"by stream events, and what table trend\.counts"):
        open_stream(store, "other")
    assert open_stream(store, "events").position == 4


@pytest.mark.parametrize("half_life", ["0", "-1", "inf", "nan", '"1d"', "true"])
def test_a_half_life_is_a_positive_number_of_seconds(half_life: str) -> None:
    with pytest.raises(SpecError, match=r"learners\.trend\.half_life_s: expected"):
        Spec.parse(TREND.replace("half_life_s = 60", f"half_life_s = {half_life}"))
