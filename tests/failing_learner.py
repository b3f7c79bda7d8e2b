"""A learner for tests that meets the same error, none of ours, whenever there are events."""

from typing import NoReturn

from strandline.features import Batch
from strandline.spec import Spec
from tests.peak_learner import Peak, PeakSpec


class FailingSpec(PeakSpec, frozen=True, kw_only=True, tag="failing"):
    def make(self, name: str, spec: Spec) -> "Failing":
        return Failing(name, list(spec.features).index(self.feature))


class Failing(Peak):
    def learn(self, batch: Batch) -> None:
        if batch.rows:
            fail(batch.rows)


def fail(rows: int) -> NoReturn:
    raise ZeroDivisionError(f"no share of {rows} rows can be had")
