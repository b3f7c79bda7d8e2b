"""Every property of `learners` on every learner."""

import importlib
import sys
from typing import Any, Literal

import pytest

from strandline.learners.counts import Counts
from strandline.learners.decayed_counts import DecayedCounts
from strandline.learners.ftrl import Ftrl
from strandline.learners.sklearn_learner import SklearnLearner
from strandline.spec import CountsSpec, FtrlSpec, SklearnSpec
from strandline.spec.estimators import (
    BernoulliNB,
    ComplementNB,
    Estimator,
    MultinomialNB,
    NaiveBayes,
    Perceptron,
    SGDClassifier,
    SGDRegressor,
)
from tests.conformance.learners import CHECKS, FIELDS, Case
from tests.peak_learner import Peak
from tests.plugins import EXAMPLE

sys.path.append(str(EXAMPLE))
strandline_ema = importlib.import_module("strandline_ema")

NAMES = ("a", "b", "c")


def ftrl(spec: FtrlSpec, fields: tuple[int, ...] = FIELDS) -> Case:
    return Case("ctr", lambda: Ftrl("ctr", spec, fields))


def sklearn(estimator: Estimator, fields: tuple[int, ...] = FIELDS, **settings: Any) -> Case:
    """Mini-batches of 50: every epoch of the suite is a whole number of them."""
    merge: Literal["mean", "sum"] = "sum" if isinstance(estimator, NaiveBayes) else "mean"
    spec = SklearnSpec(
        features=NAMES, estimator=estimator, bits=6, batch_events=50, merge=merge, **settings
    )
    return Case("model", lambda: SklearnLearner("model", spec, fields))


CASES = {
    "ftrl_matched": ftrl(FtrlSpec(features=NAMES)),
    "ftrl_l1_l2": ftrl(FtrlSpec(features=NAMES, alpha=0.5, l1=0.4, l2=1.0)),
    "ftrl_colliding": ftrl(FtrlSpec(features=NAMES, bits=3, merge="sum")),
    "ftrl_one_feature": ftrl(FtrlSpec(features=("c",)), (2,)),
    "ftrl_sum": ftrl(FtrlSpec(features=NAMES, merge="sum")),
    "ftrl_mean": ftrl(FtrlSpec(features=NAMES, merge="mean")),
    "counts": Case("popularity", lambda: Counts("popularity", CountsSpec(feature="a"), 0)),
    "sgd_classifier": sklearn(SGDClassifier()),
    "sgd_classifier_hinge": sklearn(SGDClassifier(loss="hinge", penalty="l1")),
    "sgd_classifier_huber": sklearn(SGDClassifier(loss="modified_huber", learning_rate="constant")),
    "passive_aggressive": sklearn(
        SGDClassifier(loss="hinge", penalty="none", learning_rate="pa1", eta0=1.0)
    ),
    "sgd_regressor": sklearn(SGDRegressor()),
    "sgd_regressor_huber": sklearn(SGDRegressor(loss="huber", penalty="elasticnet")),
    "perceptron": sklearn(Perceptron()),
    "multinomial_nb": sklearn(MultinomialNB(), fields=(0, 2)),
    "bernoulli_nb": sklearn(BernoulliNB()),
    "complement_nb": sklearn(ComplementNB(norm=True), fields=(0, 2)),
    "peak": Case("peak", lambda: Peak("peak", 0)),
    "third_party_ema": Case("level", lambda: strandline_ema.Ema("level", 0.3, 0)),
    "decayed_counts": Case(
        "trend", lambda: DecayedCounts("trend", CountsSpec(feature="a", half_life_s=60), 0)
    ),
}


@pytest.mark.parametrize("check", CHECKS)
@pytest.mark.parametrize("case", CASES)
def test_learner(case: str, check: str) -> None:
    CHECKS[check](CASES[case])
