"""The safetensors format: read as the library reads it, and nothing that is not of it."""

import contextlib
import json
from typing import Any

import numpy as np
import pytest
import safetensors.numpy
from hypothesis import given, settings
from hypothesis import strategies as st
from numpy.typing import NDArray

from strandline.encoding.tensors import decode, encode
from strandline.errors import StoreDamaged

DTYPES = ["float32", "float64", "int64", "uint8", "uint16", "uint32", "uint64"]
ARRAYS = st.builds(
    lambda dtype, rows, width, seed: (
        np.random.default_rng(seed).integers(0, 200, (rows, width) if width else rows).astype(dtype)
    ),
    st.sampled_from(DTYPES),
    st.integers(0, 5),
    st.integers(0, 3),
    st.integers(0, 99),
)


@settings(max_examples=50)
@given(st.dictionaries(st.text("abc/.", min_size=1), ARRAYS), st.dictionaries(st.text(), st.text()))
def test_the_library_reads_what_is_written(
    tensors: dict[str, NDArray[Any]], metadata: dict[str, str]
) -> None:
    data = encode(tensors, metadata)
    theirs = safetensors.numpy.load(data)
    ours, found = decode(data)
    assert found == metadata
    assert theirs.keys() == ours.keys() == tensors.keys()
    for name, array in tensors.items():
        for read in (theirs[name], ours[name]):
            assert read.dtype == array.dtype
            np.testing.assert_array_equal(read, array)


def test_what_the_library_writes_is_read() -> None:
    data = safetensors.numpy.save({"a": np.arange(3, dtype=np.uint16)}, {"k": "v"})
    tensors, metadata = decode(data)
    assert (tensors["a"].tolist(), metadata) == ([0, 1, 2], {"k": "v"})


def test_the_order_of_names_changes_no_byte() -> None:
    a, b = np.ones(3, np.uint8), np.ones(2, np.int64)
    one = encode({"a": a, "b": b}, {"x": "1", "y": "2"})
    assert one == encode({"b": b, "a": a}, {"y": "2", "x": "1"})


def test_arrays_are_aligned_and_read_only() -> None:
    tensors, _ = decode(encode({"a": np.ones(3, np.uint8), "b": np.ones(2)}, {}))
    assert tensors["b"].flags.aligned
    assert not tensors["b"].flags.writeable


def file(header: object, body: bytes = b"") -> bytes:
    text = header if isinstance(header, bytes) else json.dumps(header).encode()
    return len(text).to_bytes(8, "little") + text + body


U8 = {"dtype": "U8", "shape": [2], "data_offsets": [0, 2]}


@pytest.mark.parametrize(
    ("data", "says"),
    [
        (b"", "0 bytes"),
        (b"1234567", "7 bytes"),
        ((1 << 40).to_bytes(8, "little") + b"{}", "header of 1099511627776"),
        (file(b"{"), "not a safetensors"),
        (file([1]), "not a safetensors"),
        (file(b'{"a":1,"a":1}'), "twice"),
        (file(b"[" * 100_000), "not a safetensors"),
        (file({"a": {**U8, "more": 1}}, b"ab"), "unknown field"),
        (file({"a": {**U8, "dtype": "BF16"}}, b"ab"), "BF16"),
        (file({"a": {**U8, "shape": [3]}}, b"ab"), "bytes 0 to 2"),
        (file({"a": {**U8, "shape": [1, 1, 2]}}, b"ab"), "shape"),
        (file({"a": {**U8, "data_offsets": [-2, 0]}}, b"ab"), "not a safetensors"),
        (file({"a": {**U8, "data_offsets": [1, 3]}}, b"abc"), "follows byte 0"),
        (file({"a": U8, "b": U8}, b"ab"), "follows byte 2"),
        (file({"a": U8}, b"a"), "bytes 0 to 2 of 1"),
        (file({"a": U8}, b"abc"), "1 bytes after"),
        (file({"__metadata__": {"a": 1}, "a": U8}, b"ab"), "not a safetensors"),
    ],
)
def test_anything_else_is_refused(data: bytes, says: str) -> None:
    with pytest.raises(StoreDamaged, match=says):
        decode(data)


@settings(max_examples=200)
@given(st.integers(0, 10_000), st.integers(0, 255))
def test_a_flipped_byte_is_read_or_refused_and_nothing_else(at: int, value: int) -> None:
    data = bytearray(encode({"a/rows": np.arange(4, dtype=np.uint32)}, {"k": "v"}))
    data[at % len(data)] = value
    with contextlib.suppress(StoreDamaged):
        decode(bytes(data))
