"""scikit-learn estimators whose state stands in tables.

An estimator reads and updates the tables themselves: its arrays are views of theirs. What it holds
besides is made by `partial_fit` alone: nothing private of scikit-learn is touched.
"""

import importlib
from collections.abc import Mapping
from typing import Any, Final, Protocol

import msgspec
import numpy as np
from numpy.typing import NDArray

from strandline.errors import EnvironmentUnfit
from strandline.spec.estimators import Estimator, NaiveBayes, SGDClassifier, SGDRegressor
from strandline.tables.table import TableSchema

Arrays = Mapping[str, NDArray[np.float64]]
"""The values of a learner's tables, by the tables' own names."""

_CLASSES: Final = np.array([0.0, 1.0])


class Adapter(Protocol):
    """How one family of estimators keeps its state in tables."""

    @property
    def tables(self) -> Mapping[str, tuple[int, int]]:
        """Rows and width by table name."""

    @property
    def rules(self) -> Mapping[str, str]:
        """Merge rule by table name."""

    def attach(self, estimator: Any, arrays: Arrays) -> None:
        """Make the estimator, which has seen one event, one of these tables."""

    def fit(self, estimator: Any, arrays: Arrays, x: Any, y: Any, weights: Any) -> None:
        """Learn a mini-batch; the tables then hold the state after it."""


class LinearAdapter:
    """`coef` [slots, 1], `intercept` [1, 1], and `t` [1, 1]: the events that a rate decays by.

    `t` is scikit-learn's `t_` - 1, so that it is zero at first. Workers' coefficients are averaged,
    their events add up: a rate decays as fast as if one worker had learned them all.
    """

    def __init__(self, slots: int) -> None:
        self.tables = {"coef": (slots, 1), "intercept": (1, 1), "t": (1, 1)}
        self.rules = {"coef": "mean", "intercept": "mean", "t": "sum"}

    def attach(self, estimator: Any, arrays: Arrays) -> None:
        coef = arrays["coef"].reshape(-1)
        estimator.coef_ = coef.reshape(1, -1) if hasattr(estimator, "classes_") else coef
        estimator.intercept_ = arrays["intercept"].reshape(-1)
        estimator.t_ = 1.0 + float(arrays["t"][0, 0])

    def fit(self, estimator: Any, arrays: Arrays, x: Any, y: Any, weights: Any) -> None:
        try:
            estimator.partial_fit(x, y, sample_weight=weights)
        except ValueError:
            # scikit-learn saw an overflow and gave up in the middle. The worker's vote is to refuse
            # whatever is not finite, so this is made plain, and nothing of the epoch counts.
            arrays["intercept"].fill(np.nan)
        else:
            arrays["coef"][:, 0] = estimator.coef_.reshape(-1)
            arrays["intercept"][:, 0] = estimator.intercept_
        arrays["t"][0, 0] += x.shape[0]
        self.attach(estimator, arrays)


class NaiveBayesAdapter:
    """`feature_count` [slots, 2] and `class_count` [1, 2]: sums, so any merge is exact."""

    def __init__(self, slots: int) -> None:
        self.tables = {"class_count": (1, 2), "feature_count": (slots, 2)}
        self.rules = {"class_count": "sum", "feature_count": "sum"}

    def attach(self, estimator: Any, arrays: Arrays) -> None:
        estimator.class_count_ = arrays["class_count"][0]
        estimator.feature_count_ = arrays["feature_count"].T
        # One event without features and then its opposite count nothing, and make the estimator
        # derive its probabilities anew. (A weight of zero is refused.)
        nothing = _no_events(2, len(arrays["feature_count"]))
        weights = np.array([1.0, -1.0])
        with np.errstate(
            divide="ignore", invalid="ignore"
        ):  # the prior of a class without events is 0
            estimator.partial_fit(nothing, _CLASSES[[0, 0]], sample_weight=weights)

    def fit(self, estimator: Any, arrays: Arrays, x: Any, y: Any, weights: Any) -> None:
        with np.errstate(divide="ignore", invalid="ignore"):
            estimator.partial_fit(x, y, sample_weight=weights)
        arrays["class_count"][0] = estimator.class_count_
        arrays["feature_count"][:] = estimator.feature_count_.T


def adapter_of(estimator: Estimator, bits: int) -> Adapter:
    """Return the adapter of an estimator's family, for 2^bits slots."""
    slots = 1 << bits
    return NaiveBayesAdapter(slots) if isinstance(estimator, NaiveBayes) else LinearAdapter(slots)


def schemas_of_adapter(adapter: Adapter, name: str) -> tuple[TableSchema, ...]:
    """Return the schemas of the tables of the learner `name`."""
    return tuple(
        TableSchema(f"{name}.{table}", width, "float64", rows)
        for table, (rows, width) in sorted(adapter.tables.items())
    )


def make_estimator(settings: Estimator, slots: int) -> Any:
    """Return a scikit-learn object of these settings that has seen one event without features."""
    chosen = {
        key: None if value == "none" else value
        for key, value in msgspec.structs.asdict(settings).items()
    }
    if not isinstance(settings, NaiveBayes):
        # One pass in the events' order, whatever the defaults: what is learned is then a function
        # of the events alone.
        chosen |= {"shuffle": False, "random_state": 0, "average": False, "warm_start": False}
        if not isinstance(settings, SGDClassifier | SGDRegressor):
            del chosen["average"]  # Perceptron has none
    estimator = import_estimator(settings)(**chosen)
    classes = {} if isinstance(settings, SGDRegressor) else {"classes": _CLASSES}
    with np.errstate(divide="ignore", invalid="ignore"):
        return estimator.partial_fit(_no_events(1, slots), _CLASSES[:1], **classes)


def import_estimator(settings: Estimator) -> Any:
    """Return the estimator's class; `EnvironmentUnfit` if scikit-learn is not installed."""
    part = "naive_bayes" if isinstance(settings, NaiveBayes) else "linear_model"
    try:
        module = importlib.import_module(f"sklearn.{part}")
    except ImportError as error:
        raise EnvironmentUnfit(
            f"a learner of type sklearn needs scikit-learn, and importing it fails: {error};"
            " install it: pip install scikit-learn"
        ) from error
    return getattr(module, str(settings.__struct_config__.tag))


def sparse_matrix(
    data: NDArray[np.float64], slots: NDArray[np.int32], starts: NDArray[np.int32], width: int
) -> Any:
    """Return events [n, width] in scipy's CSR form; entries of one event that share a slot add."""
    sparse = importlib.import_module("scipy.sparse")
    matrix = sparse.csr_matrix((data, slots, starts), shape=(len(starts) - 1, width))
    matrix.sum_duplicates()
    return matrix


def stack(matrices: list[Any]) -> Any:
    """Return the events of several matrices, in order."""
    if len(matrices) == 1:
        return matrices[0]
    return importlib.import_module("scipy.sparse").vstack(matrices, format="csr")


def _no_events(rows: int, width: int) -> Any:
    return sparse_matrix(np.empty(0), np.empty(0, np.int32), np.zeros(rows + 1, np.int32), width)
