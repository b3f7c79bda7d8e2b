"""scikit-learn learners against scikit-learn itself, and what a spec may not say."""

import sys
from typing import Any

import msgspec
import numpy as np
import pytest
from numpy.typing import NDArray
from scipy.sparse import csr_matrix
from sklearn import linear_model, naive_bayes

from strandline.errors import EnvironmentUnfit, SpecError
from strandline.features import Batch
from strandline.learners.loading import empty_parameters, make_learners
from strandline.learners.sklearn_learner import SklearnLearner
from strandline.manifest import TrainBody
from strandline.merge import WorkerChange, merge_table
from strandline.reading.model import open_model
from strandline.spec import SklearnSpec, Spec
from strandline.spec.estimators import (
    REFUSED,
    REFUSED_SETTINGS,
    BernoulliNB,
    ComplementNB,
    Estimator,
    MultinomialNB,
    NaiveBayes,
    Perceptron,
    SGDClassifier,
    SGDRegressor,
)
from strandline.store import create_store, read_manifest
from strandline.tables.table import Parameters, apply_changes
from strandline.transactions.local import learn
from tests.conformance.learners import FIELDS, make_batch, rows_of

BITS = 6
BATCH_EVENTS = 64
NAIVE: dict[Any, NaiveBayes] = {
    naive_bayes.MultinomialNB: MultinomialNB(alpha=0.5),
    naive_bayes.BernoulliNB: BernoulliNB(fit_prior=False),
    naive_bayes.ComplementNB: ComplementNB(norm=True),
}


def make(estimator: Estimator) -> SklearnLearner:
    spec = SklearnSpec(
        features=("a",),
        estimator=estimator,
        bits=BITS,
        batch_events=BATCH_EVENTS,
        merge="sum" if isinstance(estimator, NaiveBayes) else "mean",
    )
    return SklearnLearner("model", spec, FIELDS)


def bound(learner: SklearnLearner) -> Parameters:
    parameters = empty_parameters({"model": learner})
    learner.bind(parameters)
    return parameters


def dense(batch: Batch, *, counting: bool = False) -> NDArray[np.float64]:
    """The events as the slow way has them: every slot of every event."""
    x = np.zeros((batch.rows, 1 << BITS))
    for i in range(batch.rows):
        for e in range(batch.starts[i], batch.starts[i + 1]):
            if batch.fields[e] in FIELDS:
                x[i, int(batch.keys[e]) % (1 << BITS)] += 1 if counting else batch.values[e]
    return x


LINEAR: dict[str, tuple[Any, Estimator]] = {
    "log_loss": (
        linear_model.SGDClassifier(loss="log_loss", shuffle=False),
        SGDClassifier(),
    ),
    "hinge_l1": (
        linear_model.SGDClassifier(loss="hinge", penalty="l1", alpha=0.01, shuffle=False),
        SGDClassifier(loss="hinge", penalty="l1", alpha=0.01),
    ),
    "squared_error": (linear_model.SGDRegressor(shuffle=False), SGDRegressor()),
    "pa2": (
        linear_model.SGDRegressor(
            loss="epsilon_insensitive", penalty=None, learning_rate="pa2", eta0=0.5, shuffle=False
        ),
        SGDRegressor(loss="epsilon_insensitive", penalty="none", learning_rate="pa2", eta0=0.5),
    ),
    "perceptron": (linear_model.Perceptron(shuffle=False), Perceptron()),
}


@pytest.mark.parametrize("case", LINEAR)
def test_one_worker_is_scikit_learn_on_the_same_mini_batches(case: str) -> None:
    """Over three epochs, so `t_` is carried by the tables and nothing else."""
    oracle, settings = LINEAR[case]
    learner = make(settings)
    parameters = bound(learner)
    classes = {} if isinstance(settings, SGDRegressor) else {"classes": [0, 1]}
    for seed in range(3):
        epoch = make_batch(seed, rows=200)
        learner.bind(parameters)
        for first in range(0, 200, 33):
            learner.learn(rows_of(epoch, first, min(200, first + 33)))
        learner.take_delta()
        for first in range(0, 200, BATCH_EVENTS):
            part = rows_of(epoch, first, min(200, first + BATCH_EVENTS))
            labels, x = part.labels.astype(float), csr_matrix(dense(part))
            oracle.partial_fit(x, labels, sample_weight=part.weights.astype(float), **classes)
    assert parameters["model.coef"].items()[1].any()
    coef = parameters["model.coef"].gather(np.arange(1 << BITS, dtype=np.uint32))
    assert np.array_equal(coef[:, 0], oracle.coef_.reshape(-1))
    assert parameters["model.intercept"].items()[1].reshape(-1).tolist() == oracle.intercept_
    assert parameters["model.t"].items()[1].tolist() == [[600.0]]
    assert oracle.t_ == 601
    fitted, later = learner.estimator(), csr_matrix(dense(make_batch(9)))
    assert fitted.t_ == oracle.t_
    assert np.array_equal(fitted.predict(later), oracle.predict(later))
    probable = learner.predicts == "probability"
    expected = oracle.predict_proba(later)[:, 1] if probable else oracle.predict(later)
    assert np.array_equal(learner.predict(make_batch(9)), expected.astype(np.float32))


@pytest.mark.parametrize("kind", NAIVE)
def test_naive_bayes_of_three_workers_is_one_fit_of_all_events(kind: Any) -> None:
    settings = NAIVE[kind]
    learner = make(settings)
    published = bound(learner)
    batches = []
    for epoch in range(2):
        parts = []
        for worker in range(3):
            mine = {name: table.copy() for name, table in published.items()}
            learner.bind(mine)
            batches.append(make_batch(10 * epoch + worker, rows=150))
            learner.learn(batches[-1])
            parts.append((worker, learner.take_delta()))
        for schema in learner.tables:
            deltas = [WorkerChange(worker, 150, delta[schema.name]) for worker, delta in parts]
            changes = merge_table(learner, schema, published[schema.name], deltas, 450)
            apply_changes(published, [{schema.name: changes}])
    x = np.concatenate([dense(batch, counting=True) for batch in batches])
    y = np.concatenate([batch.labels for batch in batches]).astype(float)
    weights = np.concatenate([batch.weights for batch in batches]).astype(float)
    oracle = kind(**msgspec.structs.asdict(settings)).fit(x, y, sample_weight=weights)
    learner.bind(published)
    found = learner.estimator()
    for name in ("class_count_", "feature_count_", "class_log_prior_"):
        assert np.array_equal(getattr(found, name), getattr(oracle, name)), name
    np.testing.assert_allclose(found.feature_log_prob_, oracle.feature_log_prob_, rtol=1e-12)
    later = dense(make_batch(99), counting=True)
    np.testing.assert_allclose(
        learner.predict(make_batch(99)), oracle.predict_proba(later)[:, 1], rtol=1e-6
    )


def test_naive_bayes_of_nothing_predicts_one_half() -> None:
    learner = make(MultinomialNB())
    bound(learner)
    assert learner.predict(make_batch(1)).tolist() == [0.5] * 200


def test_an_estimator_handed_out_is_the_callers() -> None:
    learner = make(SGDClassifier())
    parameters = bound(learner)
    learner.learn(make_batch(1))
    learner.take_delta()
    before = learner.predict(make_batch(2))
    found = learner.estimator()
    found.coef_ += 1
    found.intercept_ += 1
    found.partial_fit(learner.matrix(make_batch(3)), make_batch(3).labels)
    assert learner.predict(make_batch(2)).tobytes() == before.tobytes()
    learner.bind(parameters)
    assert learner.predict(make_batch(2)).tobytes() == before.tobytes()


def test_an_overflow_is_refused_and_forgotten() -> None:
    """scikit-learn raises in the middle of a mini-batch; the delta must not look sound."""
    settings = SGDRegressor(loss="epsilon_insensitive", penalty="none", learning_rate="pa2")
    learner = make(settings)
    parameters = bound(learner)
    batch = make_batch(1)
    batch.weights[:] = 1e30  # every step goes 1e30 times too far
    learner.learn(batch)
    deltas = learner.take_delta()
    assert not all(delta.finite for delta in deltas.values())
    for name, delta in deltas.items():  # as a worker does: the rows of a refused delta are reset
        parameters[name].assign(delta.rows, np.zeros_like(delta.values))
    learner.bind(parameters)
    learner.learn(make_batch(2))
    fresh = make(settings)
    expected = bound(fresh)
    fresh.learn(make_batch(2))
    learner.take_delta()
    fresh.take_delta()
    for name, table in expected.items():
        assert np.array_equal(parameters[name].items()[1], table.items()[1])


SENSORS = """
name = "sensors"
label.path = "consumption"
features.speed.kind = "number"
features.vehicle.kind = "category"
[learners.fuel]
type = "sklearn"
bits = 8
batch_events = 100
estimator = {name = "SGDRegressor", learning_rate = "constant", eta0 = 0.1}
"""


def readings(count: int) -> list[bytes]:
    rng = np.random.default_rng(1)
    speeds, vehicles = rng.random(count), rng.integers(0, 5, count)
    return [
        b'{"speed": %f, "vehicle": %d, "consumption": %f}' % (speed, vehicle, 2 * speed + vehicle)
        for speed, vehicle in zip(speeds.tolist(), vehicles.tolist(), strict=True)
    ]


def test_a_regression_learns_numbers_and_is_scored_by_squared_error() -> None:
    store = create_store("memory:", Spec.parse(SENSORS))
    learn(store, readings(4000), "events", {}, epoch_events=1000)
    errors = []
    for version in range(2, store.head() + 1):
        body = read_manifest(store, version).body
        assert isinstance(body, TrainBody)
        sums = body.prequential["fuel"]
        assert sums.log_loss is None
        errors.append(sums.squared_error / sums.weight)
    assert errors == sorted(errors, reverse=True)
    assert errors[-1] < 0.1 * errors[0]
    model = open_model(store)
    events = [b'{"speed": 0.5, "vehicle": 3}', b'{"speed": 0.1, "vehicle": 1}']
    scores = model.predict(events).scores
    assert scores.tolist() == pytest.approx([4, 1.2], abs=0.3)
    found = model.estimator().predict(model.matrix(events))
    assert found.astype(np.float32).tolist() == scores.tolist()


def test_a_model_without_a_scikit_learn_learner_says_so() -> None:
    counts = SENSORS.split("[learners.fuel]", maxsplit=1)[0] + (
        'learners.seen = {type = "counts", feature = "vehicle"}'
    )
    model = open_model(create_store("memory:", Spec.parse(counts)))
    with pytest.raises(
        SpecError, match=r"needs a learner of type sklearn; .* its learners are seen"
    ):
        model.estimator()


def spec(estimator: str, more: str = "") -> Spec:
    text = SENSORS.split("[learners.fuel]", maxsplit=1)[0]
    return Spec.parse(text + f'[learners.m]\ntype = "sklearn"\nestimator = {estimator}\n{more}')


def test_every_default_is_written_out() -> None:
    (learner,) = spec('{name = "MultinomialNB"}').learners.values()
    assert isinstance(learner, SklearnSpec)
    assert learner.features == ("vehicle",)  # a number's value is no count
    assert learner.merge == "sum"
    written = spec('{name = "SGDRegressor"}')
    assert b'"learning_rate":"invscaling"' in written.to_json()
    assert b'"merge":"mean"' in written.to_json()
    assert Spec.from_json(written.to_json()) == written
    assert not written.binary
    assert spec('{name = "Perceptron"}').binary


@pytest.mark.parametrize("name", REFUSED)
def test_estimators_that_cannot_be_merged_are_refused_with_the_reason(name: str) -> None:
    with pytest.raises(SpecError, match=r"learners\.m\.estimator\.name: expected") as met:
        spec(f'{{name = "{name}"}}')
    assert REFUSED[name] in str(met.value)


@pytest.mark.parametrize("setting", REFUSED_SETTINGS)
def test_settings_that_no_version_could_hold_are_refused_with_the_reason(setting: str) -> None:
    with pytest.raises(SpecError, match=rf"learners\.m\.estimator\.{setting}: expected") as met:
        spec(f'{{name = "SGDClassifier", {setting} = true}}')
    assert REFUSED_SETTINGS[setting] in str(met.value)


@pytest.mark.parametrize(
    ("estimator", "more", "says"),
    [
        ('{name = "SGDClassifier", learning_rate = "adaptive"}', "", "private fields"),
        ('{name = "SGDClassifier", alpha = 0}', "", r"\.alpha: expected a number above 0 with"),
        ('{name = "SGDClasifier"}', "", "did you mean 'SGDClassifier'"),
        ('{name = "SGDClassifier", los = "hinge"}', "", r"estimator\.los: .*did you mean 'loss'"),
        ('{name = "SGDClassifier", alpha = -1}', "", r"estimator\.alpha: expected .* >= 0"),
        ('{name = "SGDClassifier", loss = "huber"}', "", r"estimator\.loss: expected one of"),
        ('{name = "SGDRegressor", learning_rate = "pa1"}', "", r"\.loss: expected 'epsilon_ins"),
        (
            '{name = "SGDClassifier", loss = "hinge", learning_rate = "pa1"}',
            "",
            r"\.penalty: expected 'none'",
        ),
        ('{name = "SGDClassifier"}', 'merge = "sum"', "expected 'mean', got 'sum': the state"),
        ('{name = "SGDClassifier"}', 'merge = "matched"', "expected 'mean', got 'matched'"),
        ('{name = "BernoulliNB"}', 'merge = "mean"', "expected 'sum', got 'mean': counts"),
        ('{name = "BernoulliNB"}', 'features = ["speed"]', r"features\[0\]: expected a feature it"),
        ('{name = "Perceptron"}', "bits = 23", r"learners\.m\.bits: expected"),
        ("3", "", r"estimator: expected a table, got 3"),
        ("{}", "", r"estimator\.name: expected one of: BernoulliNB"),
    ],
)
def test_what_a_spec_may_not_say(estimator: str, more: str, says: str) -> None:
    with pytest.raises(SpecError, match=says):
        spec(estimator, more)


def test_without_scikit_learn_one_message_says_what_to_install(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setitem(sys.modules, "sklearn.linear_model", None)
    with pytest.raises(EnvironmentUnfit, match="pip install scikit-learn"):
        make_learners(Spec.parse(SENSORS))
