"""A learner for tests that meets the same error, none of ours, at every start of a job's worker."""

from typing import NoReturn

from strandline.spec import Spec
from strandline.tables.table import Parameters
from tests.peak_learner import Peak, PeakSpec


class FailingSpec(PeakSpec, frozen=True, kw_only=True, tag="failing"):
    def make(self, name: str, spec: Spec) -> "Failing":
        return Failing(name, list(spec.features).index(self.feature))


class Failing(Peak):
    def bind(self, parameters: Parameters) -> None:
        fail(len(parameters))


def fail(tables: int) -> NoReturn:
    raise ZeroDivisionError(f"no share of {tables} tables can be had")
