"""Numbers read by the kernel against Python's, bit for bit."""

import struct

import numpy as np
import pytest
from hypothesis import example, given
from hypothesis import strategies as st
from numba import njit

from strandline.features.numbers import read_integer, read_number
from strandline.kernels.memory import PADDING, address_of


@njit
def read(address: int) -> tuple[int, float]:
    return read_number(address)


@njit
def read_whole(address: int) -> int:
    return read_integer(address)


decimals = st.builds("{}{}.{}".format, st.sampled_from(["", "-"]), st.integers(0, 10**9),
                     st.from_regex(r"[0-9]{1,6}", fullmatch=True))  # fmt: skip
scaled = st.builds("{}e{}".format, st.integers(-(10**18), 10**18), st.integers(-90, 90))
halfway = st.builds(
    lambda mantissa, power: f"{(2 * mantissa + 1) * 5 * 10**power}e-{power + 1}",
    st.integers(2**52, 2**53 - 1), st.integers(0, 1),
)  # fmt: skip


def kernel_reads(text: str) -> float | None:
    data = np.frombuffer(text.encode() + b"," * PADDING, np.uint8)
    end, value = read(address_of(data))
    assert end in (0, address_of(data) + len(text)), "it reads all of a number or none"
    return value if end else None


@given(st.floats(allow_nan=False, allow_infinity=False).map(repr) | decimals | scaled | halfway)
@example("9007199254740993")
@example("-0")
@example("90071993.00000000")
@example("0.00000000000000000001")
def test_a_number_that_is_read_is_the_nearest_float64(text: str) -> None:
    value = kernel_reads(text)
    assert value is None or struct.pack("d", value) == struct.pack("d", float(text))


@given(st.floats(1.1e-4, 1e9).map(repr) | decimals | st.integers(0, 10**18).map(str))
def test_ordinary_numbers_are_read(text: str) -> None:
    assert kernel_reads(text) is not None


@pytest.mark.parametrize("text", ["", "-", "+1", "01", "1.", ".5", "1.e3", "1e", "1e+", "--1", "x"])
def test_what_is_no_number_is_not_read(text: str) -> None:
    data = np.frombuffer(text.encode() + b"," * PADDING, np.uint8)
    assert read(address_of(data))[0] == 0


@pytest.mark.parametrize(
    ("text", "length"),
    [("7", 1), ("-12", 3), ("0", 1), ("-0", 0), ("07", 0), ("1.5", 0), ("1e3", 0), ("9" * 18, 18),
     ("9" * 19, 0), ("-" + "9" * 18, 19), ("-", 0)],
)  # fmt: skip
def test_an_integer_is_read_in_its_one_form(text: str, length: int) -> None:
    data = np.frombuffer(text.encode() + b"," * PADDING, np.uint8)
    end = read_whole(address_of(data))
    assert end == (address_of(data) + length if length else 0)
