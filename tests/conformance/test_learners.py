"""Every property of `learners` on every learner."""

import pytest

from strandline.learners.counts import Counts
from strandline.learners.decayed_counts import DecayedCounts
from strandline.learners.ftrl import Ftrl
from strandline.spec import CountsSpec, FtrlSpec
from tests.conformance.learners import CHECKS, FIELDS, Case

NAMES = ("a", "b", "c")


def ftrl(spec: FtrlSpec, fields: tuple[int, ...] = FIELDS) -> Case:
    return Case("ctr", lambda: Ftrl("ctr", spec, fields))


CASES = {
    "ftrl_matched": ftrl(FtrlSpec(features=NAMES)),
    "ftrl_l1_l2": ftrl(FtrlSpec(features=NAMES, alpha=0.5, l1=0.4, l2=1.0)),
    "ftrl_colliding": ftrl(FtrlSpec(features=NAMES, bits=3, merge="sum")),
    "ftrl_one_feature": ftrl(FtrlSpec(features=("c",)), (2,)),
    "ftrl_sum": ftrl(FtrlSpec(features=NAMES, merge="sum")),
    "ftrl_mean": ftrl(FtrlSpec(features=NAMES, merge="mean")),
    "counts": Case("popularity", lambda: Counts("popularity", CountsSpec(feature="a"), 0)),
    "decayed_counts": Case(
        "trend", lambda: DecayedCounts("trend", CountsSpec(feature="a", half_life_s=60), 0)
    ),
}


@pytest.mark.parametrize("check", CHECKS)
@pytest.mark.parametrize("case", CASES)
def test_learner(case: str, check: str) -> None:
    CHECKS[check](CASES[case])
