"""Keys against literal values: docs/format.md promises them to other readers."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from numba import njit
from xxhash import xxh64_intdigest

from strandline.features import (
    BIAS_KEY,
    Decoder,
    PlainDecoder,
    category_key,
    field_seed,
    slots,
)
from strandline.kernels.memory import address_of, xxh64
from strandline.spec import Spec

CROSSED = Spec.parse("""
name = "crossed"
label.path = "click"
features.user.kind = "category"
features.item.kind = "category"
features.both = {kind = "cross", of = ["item", "user"]}
learners.ctr.type = "ftrl"
""")
ITEM = 0x5FE193BB4B6B9CD0
GOLDEN: dict[str | int | bool, int] = {
    "i0042": 0x3C6EA2D94DBC7222,
    "größe": 0x16E287ACA4BB0418,
    "": 0xBB29A7ABD1F559B0,
    -7: 0x0D966BC782E5B672,
    True: 0xEBF82BA336B73116,
}


def test_keys_do_not_change() -> None:
    assert BIAS_KEY == 0xEF46DB3751D8E999  # the published test vector of XXH64 for no bytes
    assert field_seed("item") == ITEM
    assert {value: category_key(value, ITEM) for value in GOLDEN} == GOLDEN


@pytest.mark.parametrize("decoder", [Decoder, PlainDecoder])
def test_the_key_of_a_cross_does_not_change(decoder: type[Decoder | PlainDecoder]) -> None:
    """The parts' keys in order, little-endian."""
    batch, _ = decoder(CROSSED).decode([b'{"user": 7, "item": "i0042", "click": 1}'])
    assert [f"{key:016x}" for key in batch.keys[:3]] == [
        "34241ac7f2c32b8f",
        "3c6ea2d94dbc7222",
        "25904760f02178b7",
    ]


@given(st.integers(-(2**63), 2**63 - 1), st.integers(0, 2**64 - 1))
def test_an_integer_is_its_digits_and_a_bool_its_word(value: int, seed: int) -> None:
    assert category_key(value, seed) == category_key(str(value), seed)
    assert category_key(value > 0, seed) == category_key("true" if value > 0 else "false", seed)


@njit
def kernel_hash(address: int, length: int, seed: np.uint64) -> np.uint64:
    return xxh64(address, length, seed)


@given(st.binary(max_size=200), st.integers(0, 2**64 - 1))
def test_the_kernels_hash_is_xxh64(data: bytes, seed: int) -> None:
    array = np.frombuffer(data + b"!", np.uint8)
    assert kernel_hash(address_of(array), len(data), np.uint64(seed)) == xxh64_intdigest(data, seed)


@given(st.lists(st.integers(0, 2**64 - 1)), st.integers(1, 28))
def test_slots_are_the_low_bits(keys: list[int], bits: int) -> None:
    found = slots(np.array(keys, np.uint64), bits)
    assert found.dtype == np.uint32
    assert found.tolist() == [key % 2**bits for key in keys]
