"""The logarithm of features: near the exact one, and the same bits everywhere."""

import math
from decimal import Decimal, localcontext

import numpy as np
import pytest
from hypothesis import example, given
from hypothesis import strategies as st
from numpy.typing import NDArray

from strandline.kernels.logarithm import write_odd_logs

PINNED = [
    "0x1.460d6ccca3677p-7", "0x1.0ca937be1b9dcp-2",
    "0x1.6712984ec8f15p-2", "0x1.dc51ddc7d2e46p-2",
    "0x1.62e42fefa39efp-1", "0x1.d5240f0e0e078p-1",
    "0x1.0a2b23f3bab73p+1", "0x1.ba2909ce4f864p+2",
    "0x1.77282daa2d8a9p+3", "0x1.cc845b54b54f2p+7",
]  # fmt: skip


def logs(*values: float) -> NDArray[np.float64]:
    written = np.empty(len(values))
    write_odd_logs(np.array(values), written)
    return written


def exact(value: float) -> Decimal:
    with localcontext() as context:
        context.prec = 700 if value < 1e-30 else 80
        return (1 + Decimal(value)).ln()


@given(st.floats(1e-30, 1.7e308) | st.floats(0.0, 10.0).filter(lambda x: x > 1e-30))
@example(0.41421356237309503)
@example(1.0)
@example(2.0**53)
def test_a_logarithm_is_within_one_unit_of_the_exact_one(value: float) -> None:
    found = logs(value)[0].item()
    assert abs(Decimal(found) - exact(value)) < Decimal(math.ulp(found))


@pytest.mark.parametrize("value", [0.0, 5e-324, 1e-300, 1e-20])
def test_of_a_value_that_small_it_is_the_value(value: float) -> None:
    assert logs(value, -value).tobytes() == np.array([value, -value]).tobytes()


def test_its_bits_are_the_same_on_every_machine() -> None:
    values = [0.01, 0.3, 0.42, 0.5922626345492236, 1.0, 1.5, 7.0, 1e3, 123456.789, 1e100]
    assert [log.hex() for log in logs(*values).tolist()] == PINNED


def test_a_value_has_one_logarithm_wherever_it_stands() -> None:
    """In a vector, or in the rest that fills none."""
    values = np.random.default_rng(5).lognormal(0, 3, 37)
    alone = [logs(value)[0] for value in values.tolist()]
    assert logs(*values.tolist()).tobytes() == np.array(alone).tobytes()
    assert logs(*(-values).tolist()).tobytes() == (-np.array(alone)).tobytes()


def test_what_is_no_number_has_no_logarithm() -> None:
    assert np.isnan(logs(math.nan, 1.0)).tolist() == [True, False]
