"""2^x and the logistic function: near the exact ones; `test_same_bits` has the bits."""

import math
from decimal import Decimal, localcontext

import numpy as np
import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from strandline.kernels.exponential import sigmoid, write_powers_of_2
from tests.oracles.ftrl import sigmoid as plain_sigmoid


def power_of_2(x: float) -> float:
    written = np.empty(1)
    write_powers_of_2(np.array([x]), written)
    return float(written[0])


@given(st.floats(-1073.9, 1023.9) | st.floats(-1.0, 1.0))
@example(-1022.5)
@example(1 / 256)
def test_a_power_is_within_one_unit_of_the_exact_one(x: float) -> None:
    found = power_of_2(x)
    with localcontext() as context:
        context.prec = 60
        exact = (Decimal(x) * Decimal(2).ln()).exp()
        assert abs(Decimal(found) - exact) <= Decimal(math.ulp(found))


@given(st.floats(allow_nan=False))
def test_the_logistic_function_is_that_of_the_oracle(x: float) -> None:
    assert sigmoid(x) == plain_sigmoid(x)
    assert abs(sigmoid(x) - 1 / (1 + math.exp(-min(max(x, -700), 700)))) <= 2.0**-52


@pytest.mark.parametrize(
    ("x", "power"),
    [(0.0, 1.0), (-3.0, 0.125), (-1074.0, 5e-324), (-1e300, 0.0), (-math.inf, 0.0),
     (1023.0, 2.0**1023), (1024.0, math.inf), (math.inf, math.inf)],
)  # fmt: skip
def test_whole_and_extreme_powers_are_exact(x: float, power: float) -> None:
    assert power_of_2(x) == power


def test_what_is_no_number_stays_none() -> None:
    assert math.isnan(power_of_2(math.nan))
    assert math.isnan(sigmoid(math.nan))
