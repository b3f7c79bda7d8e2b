"""The scikit-learn estimators a spec can name, and why others are refused.

Settings are those of scikit-learn under the same names, and every default is written out in the
spec, so that a later scikit-learn with other defaults makes the same model. "none" is None.
"""

from collections.abc import Mapping
from typing import Annotated, Any, ClassVar, Final, Literal

from msgspec import Meta, Struct

from strandline.spec.convert import as_table, fail, to_tagged

Rate = Annotated[float, Meta(gt=0, le=1e6)]
Penalty = Annotated[float, Meta(ge=0, le=1e6)]
Share = Annotated[float, Meta(ge=0, le=1)]
Predicts = Literal["probability", "class", "value"]


class SGDClassifier(Struct, frozen=True, kw_only=True, forbid_unknown_fields=True,
                    tag_field="name", tag="SGDClassifier"):  # fmt: skip
    """Linear classifier; `loss` is log_loss by default, not hinge, so that it has probabilities."""

    loss: Literal["hinge", "log_loss", "modified_huber", "perceptron", "squared_hinge"] = "log_loss"
    penalty: Literal["elasticnet", "l1", "l2", "none"] = "l2"
    alpha: Penalty = 1e-4
    l1_ratio: Share = 0.15
    fit_intercept: bool = True
    learning_rate: Literal["constant", "invscaling", "optimal", "pa1", "pa2"] = "optimal"
    eta0: Rate = 0.01
    power_t: Share = 0.5

    @property
    def predicts(self) -> Predicts:
        """Probabilities, or, of losses that have none, classes."""
        return "probability" if self.loss in ("log_loss", "modified_huber") else "class"


class SGDRegressor(Struct, frozen=True, kw_only=True, forbid_unknown_fields=True,
                   tag_field="name", tag="SGDRegressor"):  # fmt: skip
    """Linear regression. Its labels are any finite numbers."""

    predicts: ClassVar[Predicts] = "value"
    loss: Literal[
        "epsilon_insensitive", "huber", "squared_epsilon_insensitive", "squared_error"
    ] = "squared_error"
    penalty: Literal["elasticnet", "l1", "l2", "none"] = "l2"
    alpha: Penalty = 1e-4
    l1_ratio: Share = 0.15
    fit_intercept: bool = True
    epsilon: Penalty = 0.1
    learning_rate: Literal["constant", "invscaling", "optimal", "pa1", "pa2"] = "invscaling"
    eta0: Rate = 0.01
    power_t: Share = 0.25


class Perceptron(Struct, frozen=True, kw_only=True, forbid_unknown_fields=True,
                 tag_field="name", tag="Perceptron"):  # fmt: skip
    """Linear classifier that learns from its errors only."""

    predicts: ClassVar[Predicts] = "class"
    penalty: Literal["elasticnet", "l1", "l2", "none"] = "none"
    alpha: Penalty = 1e-4
    l1_ratio: Share = 0.15
    fit_intercept: bool = True
    eta0: Rate = 1.0


class MultinomialNB(Struct, frozen=True, kw_only=True, forbid_unknown_fields=True,
                    tag_field="name", tag="MultinomialNB"):  # fmt: skip
    """Naive Bayes of counted values."""

    predicts: ClassVar[Predicts] = "probability"
    alpha: Rate = 1.0
    fit_prior: bool = True


class BernoulliNB(Struct, frozen=True, kw_only=True, forbid_unknown_fields=True,
                  tag_field="name", tag="BernoulliNB"):  # fmt: skip
    """Naive Bayes of values that are there or not."""

    predicts: ClassVar[Predicts] = "probability"
    alpha: Rate = 1.0
    fit_prior: bool = True


class ComplementNB(Struct, frozen=True, kw_only=True, forbid_unknown_fields=True,
                   tag_field="name", tag="ComplementNB"):  # fmt: skip
    """Naive Bayes of what the other class counts; for classes of very different size."""

    predicts: ClassVar[Predicts] = "probability"
    alpha: Rate = 1.0
    fit_prior: bool = True
    norm: bool = False


Linear = SGDClassifier | SGDRegressor | Perceptron
NaiveBayes = MultinomialNB | BernoulliNB | ComplementNB
Estimator = Linear | NaiveBayes

ESTIMATORS: Final = (
    SGDClassifier, SGDRegressor, Perceptron, MultinomialNB, BernoulliNB, ComplementNB,
)  # fmt: skip

_PASSIVE_AGGRESSIVE: Final = (
    'scikit-learn ends it: say name = "{}", loss = "{}", penalty = "none", learning_rate = "pa1"'
    " and eta0 = its C"
)
REFUSED: Final[Mapping[str, str]] = {
    "GaussianNB": "it folds a variance of each mini-batch into its state, which does not add up",
    "CategoricalNB": "its tables grow with the values seen: use MultinomialNB on hashed values",
    "MiniBatchKMeans": "it moves centres with every mini-batch, which workers cannot merge",
    "MLPClassifier": "it learns in private optimizer state, which workers cannot merge",
    "MLPRegressor": "it learns in private optimizer state, which workers cannot merge",
    "PassiveAggressiveClassifier": _PASSIVE_AGGRESSIVE.format("SGDClassifier", "hinge"),
    "PassiveAggressiveRegressor": _PASSIVE_AGGRESSIVE.format("SGDRegressor", "epsilon_insensitive"),
}
"""Estimators with `partial_fit` that a model cannot be made of, and why."""

_ORDER: Final = "events are learned once, in their order"
REFUSED_SETTINGS: Final[Mapping[str, str]] = {
    "average": "averages are kept in private fields, which no version would hold",
    "class_prior": "set fit_prior, or weigh the events by [weight]",
    "class_weight": "a balance over the stream is not known in advance: weigh events by [weight]",
    "early_stopping": "a stream has no end to stop before",
    "max_iter": _ORDER,
    "n_iter_no_change": _ORDER,
    "n_jobs": "parallelism is the workers'",
    "random_state": "nothing is drawn at random",
    "shuffle": _ORDER,
    "tol": _ORDER,
    "validation_fraction": "every event is validated on before it is learned",
    "warm_start": "a learner always goes on from the version that it stands on",
}


def to_estimator(raw: object, where: str) -> Any:
    """Convert the raw table of an estimator, or refuse it with the reason."""
    table = as_table(raw, where)
    name = table.get("name")
    if isinstance(name, str) and name in REFUSED:
        fail(f"{where}.name", "an estimator that can be merged", name, hint=f": {REFUSED[name]}")
    for setting in sorted(table.keys() & REFUSED_SETTINGS.keys()):
        reason = REFUSED_SETTINGS[setting]
        fail(f"{where}.{setting}", "no such setting", table[setting], hint=f": {reason}")
    if table.get("learning_rate") == "adaptive":
        fail(f"{where}.learning_rate", "a rate that is a function of what versions hold",
             "adaptive", hint=": it follows losses that are kept in private fields")  # fmt: skip
    estimator = to_tagged(table, "name", ESTIMATORS, where)
    if isinstance(estimator, SGDClassifier | SGDRegressor):
        _check_rate(estimator, where)
    return estimator


def _check_rate(estimator: SGDClassifier | SGDRegressor, where: str) -> None:
    if estimator.learning_rate == "optimal" and estimator.alpha == 0:
        fail(f"{where}.alpha", "a number above 0 with learning_rate 'optimal'", estimator.alpha)
    if estimator.learning_rate not in ("pa1", "pa2"):
        return
    loss = "hinge" if isinstance(estimator, SGDClassifier) else "epsilon_insensitive"
    if estimator.loss != loss:
        fail(f"{where}.loss", f"{loss!r} with learning_rate {estimator.learning_rate!r}",
             estimator.loss)  # fmt: skip
    if estimator.penalty != "none":
        fail(f"{where}.penalty", f"'none' with learning_rate {estimator.learning_rate!r}",
             estimator.penalty)  # fmt: skip
