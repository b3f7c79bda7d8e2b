"""Kernels on rows against numpy's own indexing, bit for bit."""

from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from strandline.tables.sorted_rows import union_of_rows

ids = st.lists(st.sets(st.integers(0, 60), max_size=40), min_size=1, max_size=6)
row_types = pytest.mark.parametrize("dtype", [np.uint32, np.uint64])


def sorted_rows(some: set[int], dtype: type[np.unsignedinteger[Any]]) -> np.ndarray[Any, Any]:
    spread = dtype(np.iinfo(dtype).max // 64)  # over the whole range of the type
    rows: np.ndarray[Any, Any] = np.array(sorted(some), dtype) * spread
    return rows


@row_types
@settings(deadline=None)  # the first example compiles
@given(ids)
def test_a_union_holds_every_row_and_knows_the_places_of_each_piece(
    dtype: type[np.unsignedinteger[Any]], sets: list[set[int]]
) -> None:
    pieces = [sorted_rows(some, dtype) for some in sets]
    rows, places = union_of_rows(pieces, np.dtype(dtype))
    assert rows.dtype == dtype
    assert rows.tolist() == sorted({row for piece in pieces for row in piece.tolist()})
    for piece, at in zip(pieces, places, strict=True):
        assert rows[at].tolist() == piece.tolist()


def test_no_pieces_have_no_rows() -> None:
    rows, places = union_of_rows([], np.dtype(np.uint32))
    assert rows.dtype == np.uint32
    assert (rows.tolist(), places) == ([], [])
