"""The learners a spec can name, with the legality of each setting as its type."""

from typing import Annotated, Literal

from msgspec import Meta, Struct

from strandline.limits import SKLEARN_BITS_MAX, TABLE_BITS_MAX
from strandline.spec.estimators import Estimator, Penalty, Rate
from strandline.spec.plugins import PluginSpec


class FtrlSpec(Struct, frozen=True, kw_only=True, forbid_unknown_fields=True,
               tag_field="type", tag="ftrl"):  # fmt: skip
    """FTRL-Proximal logistic regression on `2**bits` hashed slots. Its labels are 0 or 1.

    `features` are the names it learns from, sorted (default: all features of the spec).
    """

    features: Annotated[tuple[str, ...], Meta(min_length=1)]
    alpha: Rate = 0.05
    beta: Rate = 1.0
    l1: Penalty = 0.0
    l2: Penalty = 0.0
    bits: Annotated[int, Meta(ge=1, le=TABLE_BITS_MAX)] = 18
    merge: Literal["matched", "mean", "sum"] = "matched"

    @property
    def binary(self) -> bool:
        """Whether the learner takes labels 0 and 1 only."""
        return True


class CountsSpec(Struct, frozen=True, kw_only=True, forbid_unknown_fields=True,
                 tag_field="type", tag="counts"):  # fmt: skip
    """Events and positive events per value of one category.

    With `half_life_s` counts halve in that many seconds of the versions' time, and the store takes
    one stream only.
    """

    feature: str
    half_life_s: Annotated[float, Meta(ge=1e-3, le=1e10)] | None = None
    merge: Literal["sum"] = "sum"

    @property
    def binary(self) -> bool:
        """Whether the learner takes labels 0 and 1 only."""
        return False


class SklearnSpec(Struct, frozen=True, kw_only=True, forbid_unknown_fields=True,
                  tag_field="type", tag="sklearn"):  # fmt: skip
    """A scikit-learn estimator with `partial_fit`, on `2**bits` hashed slots.

    It learns in mini-batches of `batch_events`, counted from the epoch's begin. `features` are the
    names it learns from, sorted (default: all that it can take). Rules: `mean` of linear models,
    weighted by events, `sum` of the counts of naive Bayes, each the default.
    """

    features: Annotated[tuple[str, ...], Meta(min_length=1)]
    estimator: Estimator
    bits: Annotated[int, Meta(ge=1, le=SKLEARN_BITS_MAX)] = 18
    batch_events: Annotated[int, Meta(ge=1, le=65_536)] = 1024
    merge: Literal["mean", "sum"]

    @property
    def binary(self) -> bool:
        """Whether the learner takes labels 0 and 1 only."""
        return self.estimator.predicts != "value"


LearnerSpec = FtrlSpec | CountsSpec | SklearnSpec | PluginSpec
