"""Learners of a spec."""

import numpy as np

from strandline.features import Decoder
from strandline.kernels.logarithm import write_odd_logs
from strandline.learners import empty_parameters, make_learners, warm_up
from strandline.learners.ftrl_kernel import learn_events, predict_events
from strandline.spec import Spec
from strandline.tables.table import DenseTable, SparseTable

SPEC = Spec.parse("""
name = "clicks"
label.path = "click"
features.item.kind = "category"
features.price.kind = "number"
features.user.kind = "category"
[learners.ctr]
type = "ftrl"
bits = 5
features = ["item", "user"]
[learners.popularity]
type = "counts"
feature = "user"
""")


def test_a_spec_becomes_learners_with_empty_tables() -> None:
    learners = make_learners(SPEC)
    assert {name: dict(learner.rules) for name, learner in learners.items()} == {
        "ctr": {"ctr.zn": "matched"},
        "popularity": {"popularity.counts": "sum"},
    }
    parameters = empty_parameters(learners)
    zn, counts = parameters["ctr.zn"], parameters["popularity.counts"]
    assert isinstance(zn, DenseTable)
    assert zn.values.shape == (32, 2)
    assert zn.values.dtype == np.float32
    assert isinstance(counts, SparseTable)
    assert all(len(table.items()[0]) == 0 for table in parameters.values())


def test_learners_take_the_fields_of_their_features() -> None:
    events = [b'{"click": true, "item": "i", "price": 3, "user": "u"}']
    batch, rejected = Decoder(SPEC).decode(events)
    assert not rejected
    learners = make_learners(SPEC)
    parameters = empty_parameters(learners)
    for learner in learners.values():
        learner.bind(parameters)
        learner.learn(batch)
    item, price, user, bias = batch.keys
    touched = sorted({int(key) % 32 for key in (item, user, bias)})
    assert int(price) % 32 not in touched
    assert learners["ctr"].take_delta()["ctr.zn"].rows.tolist() == touched
    assert parameters["popularity.counts"].items()[0].tolist() == [int(user)]


def test_after_a_warm_up_no_kernel_compiles() -> None:
    warm_up()
    test_learners_take_the_fields_of_their_features()
    assert len(learn_events.signatures) == 1
    assert len(predict_events.signatures) == 1
    assert len(write_odd_logs.signatures) == 1
