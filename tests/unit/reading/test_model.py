"""A model answers from one version, and says what it cannot answer."""

import json

import numpy as np
import pytest

from strandline.errors import EventRejected, SpecError, StoreError
from strandline.features import Decoder
from strandline.learners.loading import make_learners
from strandline.reading.model import open_model
from strandline.spec import Spec
from strandline.store import create_store
from strandline.transactions.transaction import open_stream
from tests.oracles import features, sequential
from tests.streams import NESTED, clicks, clicks_spec, nested

SPEC = clicks_spec()


def test_predictions_are_those_of_the_sequential_model() -> None:
    store = create_store("memory:", SPEC)
    with open_stream(store, "events").begin() as transaction:
        transaction.learn(clicks(2000))
    oracle = sequential.run(SPEC, clicks(2000)).models["ctr"]
    asked = clicks(100, 5)
    found = open_model(store).predict(asked)
    assert (found.version, found.scores.dtype.name, found.scores.shape) == (2, "float32", (100,))
    for record, score in zip(asked, found.scores.tolist(), strict=True):
        event = features.decode(record, SPEC, labelled=False)
        assert not isinstance(event, str)
        assert score == pytest.approx(oracle.predict(event), rel=1e-5)


def test_events_are_bytes_or_dictionaries_without_label_and_weight() -> None:
    store = create_store("memory:", SPEC)
    with open_stream(store, "events").begin() as transaction:
        transaction.learn(clicks(200))
    model = open_model(store)
    event = {"item": "i1", "user": 7, "price": 3}
    scores = model.predict([event, json.dumps(event).encode(), {**event, "click": 1}]).scores
    assert len(set(scores.tolist())) == 1
    assert model.predict([]).scores.shape == (0,)


def test_decoded_events_predict_as_the_events_do_at_any_version() -> None:
    store = create_store("memory:", SPEC)
    before = open_model(store)
    with open_stream(store, "events").begin() as transaction:
        transaction.learn(clicks(200))
    after = open_model(store)
    batch = before.decode(clicks(50, 7))
    for model in (before, after):
        expected = model.predict(clicks(50, 7))
        found = model.predict(batch)
        assert (found.version, found.scores.tobytes()) == (
            expected.version,
            expected.scores.tobytes(),
        )


def test_an_event_that_cannot_be_decoded_is_named() -> None:
    model = open_model(create_store("memory:", SPEC))
    with pytest.raises(EventRejected, match="event 1 of 3 is rejected as missing_feature: item"):
        model.predict([{"item": "a"}, {"user": 1}, b"{"])


def test_a_version_is_pinned() -> None:
    store = create_store("memory:", SPEC)
    stream = open_stream(store, "events")
    for seed in range(3):
        with stream.begin() as transaction:
            transaction.learn(clicks(300, seed))
    asked = clicks(20, 9)
    then = open_model(store, 2).predict(asked)
    with stream.begin() as transaction:
        transaction.learn(clicks(300, 4))
    again = open_model(store, 2).predict(asked)
    assert (then.version, again.version) == (2, 2)
    np.testing.assert_array_equal(then.scores, again.scores)
    assert not np.array_equal(open_model(store).predict(asked).scores, then.scores)


def test_a_version_that_does_not_exist_is_refused() -> None:
    store = create_store("memory:", SPEC)
    for version in (1, -1):
        with pytest.raises(StoreError, match=f"no version {version}: the newest is 0"):
            open_model(store, version)


def test_counts_are_asked_by_value() -> None:
    store = create_store("memory:", SPEC)
    events = [b'{"item": "a", "click": 1}', b'{"item": "a", "click": 0}', b'{"item": 7, "click":1}']
    with open_stream(store, "events").begin() as transaction:
        transaction.learn(events)
    model = open_model(store)
    assert model.count("a") == (2, 1)
    assert model.count(7) == model.count("7", learner="popularity") == (1, 1)
    assert model.count("never seen") == (0, 0)


def test_an_unclear_learner_is_refused_with_the_names() -> None:
    spec = Spec.load(NESTED)
    model = open_model(create_store("memory:", spec))
    with pytest.raises(SpecError, match="one that predicts, ctr, price_only; name it"):
        model.predict(nested(1))
    assert model.predict(nested(1), learner="price_only").scores.tolist() == [0.5]
    with pytest.raises(SpecError, match="got sold, which does not"):
        model.predict(nested(1), learner="sold")
    with pytest.raises(SpecError, match="expected one of ctr, price_only, sold, got 'other'"):
        model.predict(nested(1), learner="other")
    with pytest.raises(
        SpecError, match="got 'ctr', expected a learner of type counts: one of sold"
    ):
        model.count("a", learner="ctr")


def test_predicting_changes_nothing() -> None:
    store = create_store("memory:", SPEC)
    with open_stream(store, "events").begin() as transaction:
        transaction.learn(clicks(300))
    model = open_model(store)
    before = model._parameters["ctr.zn"].items()[1].tobytes()
    first, second = model.predict(clicks(50, 1)), model.predict(clicks(50, 1))
    np.testing.assert_array_equal(first.scores, second.scores)
    assert model._parameters["ctr.zn"].items()[1].tobytes() == before


def test_serving_and_learning_read_one_pipeline() -> None:
    """The score of an event equals what the learner predicts for the decoded event."""
    store = create_store("memory:", SPEC)
    with open_stream(store, "events").begin() as transaction:
        transaction.learn(clicks(500))
    model = open_model(store)
    learner = make_learners(SPEC)["ctr"]
    learner.bind(model._parameters)
    batch, _ = Decoder(SPEC).decode(clicks(30, 2))
    scores = learner.predict(batch)
    assert scores is not None
    np.testing.assert_array_equal(scores, model.predict(clicks(30, 2)).scores)
