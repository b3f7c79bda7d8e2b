"""Counts against a plain dictionary."""

from collections import Counter

import numpy as np
from hypothesis import given, settings
from hypothesis import strategies as st

from strandline.features import Batch
from strandline.learners.counts import Counts
from strandline.learners.loading import empty_parameters
from strandline.spec import CountsSpec

FIELD = 1

entries = st.lists(st.tuples(st.sampled_from([1, 2, 2**63, 2**64 - 1]), st.integers(0, 2)))
events = st.lists(st.tuples(entries, st.sampled_from([0.0, 1.0, -1.0, 0.5])))


@settings(deadline=None)
@given(batches=st.lists(events, max_size=4))
def test_an_event_counts_once_for_each_distinct_value(
    batches: list[list[tuple[list[tuple[int, int]], float]]],
) -> None:
    learner = Counts("popularity", CountsSpec(feature="item"), FIELD)
    parameters = empty_parameters({"popularity": learner})
    learner.bind(parameters)
    seen: Counter[int] = Counter()
    positive: Counter[int] = Counter()
    for batch in batches:
        flat = [entry for event, _ in batch for entry in event]
        rows = len(batch)
        learner.learn(
            Batch(
                keys=np.array([key for key, _ in flat], np.uint64),
                fields=np.array([field for _, field in flat], np.uint16),
                values=np.ones(len(flat), np.float32),
                starts=np.cumsum([0, *(len(event) for event, _ in batch)]).astype(np.int64),
                labels=np.array([label for _, label in batch], np.float32),
                weights=np.full(rows, 9, np.float32),  # counts take no notice of weights
            )
        )
        for event, label in batch:
            values = {key for key, field in event if field == FIELD}
            seen.update(values)
            positive.update(values if label > 0 else ())
    expected = [[seen[key], positive[key]] for key in sorted(seen)]
    delta = learner.take_delta()["popularity.counts"]
    for found in (parameters["popularity.counts"].items(), (delta.rows, delta.values)):
        assert found[0].tolist() == sorted(seen)
        assert found[1].tolist() == expected
        assert found[1].dtype == np.int64
