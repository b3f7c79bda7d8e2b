"""The value at a leaf of a plan, in a kernel."""

from typing import Final

import numpy as np
from numba import njit

from strandline.features import layout
from strandline.features.layout import LEAF_BYTES
from strandline.features.numbers import read_integer, read_number
from strandline.features.plan import CATEGORY, LABEL, NULL, NUMBER, TEXT, TEXTS, VALUE
from strandline.features.tokens import (
    CLOSE_ARRAY,
    COMMA,
    LETTER_F,
    LETTER_N,
    LETTER_T,
    MINUS,
    OPEN_ARRAY,
    QUOTE,
    is_null,
    skip_space,
    string_end,
    unescape,
    word_end,
)
from strandline.kernels.memory import MASK_BYTES, byte_at, string_stops

NO_LENGTH: Final = MASK_BYTES
NO_LENGTH_YET: Final = MASK_BYTES + 1
"""In place of a leaf's usual length: a mask has no such bit, so that no text has this length."""

_LAST: Final = 63
_LAST_BIT: Final = np.uint64(1 << _LAST)


@njit(nogil=True)
def _read_escaped(at: int, end: int, places: int) -> tuple[int, int, int]:
    """As `_read_text` for a string that holds more than its text: its text is written out."""
    first = layout.read_int64(layout.texts_used(places))
    close, stop = unescape(at, end, first)
    if close == 0:
        return 0, 0, 0
    layout.write_int64(layout.texts_used(places), stop)
    return first, stop, close + 1


@njit(nogil=True, forceinline=True)
def _plain_end(at: int, byte: int) -> int:
    """Return where a bool or an integer ends, 0 if it is neither."""
    return word_end(at) if byte in (LETTER_T, LETTER_F) else read_integer(at)


@njit(nogil=True, forceinline=True)
def _read_text(at: int, end: int, places: int) -> tuple[int, int, int]:
    """Return where the text of a category begins and ends, and where its value ends, or 0."""
    byte = byte_at(at)
    if byte != QUOTE:
        stop = _plain_end(at, byte)
        return at, stop, stop
    stop = string_end(at + 1, end, False)
    if stop == 0:
        return _read_escaped(at + 1, end, places)
    return at + 1, stop, stop + 1


@njit(nogil=True)
def _read_texts(at: int, end: int, leaf: int, spans: int, places: int) -> int:
    """Read an array of texts into spans; return its end, 0 if it cannot."""
    layout.set_leaf_holds(leaf, TEXTS)
    layout.set_leaf_first(leaf, spans)
    at = skip_space(at + 1, end)
    if byte_at(at) == CLOSE_ARRAY:
        return at + 1
    count = 0
    while at < end and spans < layout.spans_end(places):
        first, stop, at = _read_text(at, end, places)
        if at == 0:
            return 0
        layout.set_span_first(spans, first)
        layout.set_span_length(spans, stop - first)
        spans += layout.SPAN_BYTES
        count += 1
        at = skip_space(at, end)
        if byte_at(at) == CLOSE_ARRAY:
            layout.set_leaf_count(leaf, count)
            return at + 1
        if byte_at(at) != COMMA:
            return 0
        at = skip_space(at + 1, end)
    return 0


@njit(nogil=True, forceinline=True)
def _hold_text(leaf: int, first: int, length: int) -> None:
    layout.set_leaf_holds(leaf, TEXT)
    layout.set_leaf_count(leaf, 1)
    layout.set_leaf_first(leaf, first)
    layout.set_leaf_length(leaf, length)


@njit(nogil=True, forceinline=True)
def _read_string(at: int, end: int, leaf: int, places: int) -> int:
    """Read a string at the leaf of a category; return its end, 0 if it cannot.

    Where a length is usual, the way on leads from there and the mask only has to agree: the
    processor predicts that it does, and reads on before it is there.
    """
    usual = layout.leaf_usual(leaf)
    close = at + 1 + usual
    only = string_stops(at + 1) << np.uint64(_LAST - usual) == _LAST_BIT
    if only and byte_at(close) == QUOTE:
        _hold_text(leaf, at + 1, usual)
        return close + 1
    first, stop, after = _read_text(at, end, places)
    _hold_text(leaf, first, stop - first)
    is_first = usual == NO_LENGTH_YET and stop - first < MASK_BYTES
    layout.set_leaf_usual(leaf, stop - first if is_first else NO_LENGTH)
    return after


@njit(nogil=True, forceinline=True)
def _read_value(at: int, byte: int, role: int, number: int) -> int:
    """Read a number, or a label that is a bool; return its end, 0 if it cannot."""
    if role == LABEL and byte in (LETTER_T, LETTER_F):
        layout.write_float64(number, 1.0 if byte == LETTER_T else 0.0)
        return word_end(at)
    if role != NUMBER and byte == MINUS:
        return 0  # for a label or a weight the sign of zero counts
    after, value = read_number(at)
    layout.write_float64(number, value)
    return after


@njit(nogil=True, forceinline=True)
def read_leaf(at: int, end: int, index: int, spans: int, places: int) -> int:
    """Read the value at a leaf, texts of an array into spans; return its end, 0 if it cannot."""
    leaf = layout.leaves(places) + LEAF_BYTES * index
    byte = byte_at(at)
    role = layout.leaf_role(leaf)
    if role == CATEGORY and byte == QUOTE:
        return _read_string(at, end, leaf, places)
    if byte == LETTER_N:
        layout.set_leaf_holds(leaf, NULL)
        return at + 4 if is_null(at) else 0
    if role == CATEGORY:
        if byte == OPEN_ARRAY:
            return _read_texts(at, end, leaf, spans, places)
        stop = _plain_end(at, byte)
        _hold_text(leaf, at, stop - at)
        return stop
    layout.set_leaf_holds(leaf, VALUE)
    return _read_value(at, byte, role, layout.values(places) + 8 * index)
