"""The value at a leaf of a plan, in a kernel."""

from typing import Final

import numpy as np
from numba import njit

from strandline.features import layout
from strandline.features.memory import STEP, byte_at, string_stops
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


_TOP: Final = np.uint64(1 << 63)


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
def _read_string(at: int, end: int, places: int) -> tuple[int, int, int]:
    stop = string_end(at, end, False)
    if stop == 0:
        return _read_escaped(at, end, places)
    return at, stop, stop + 1


@njit(nogil=True, forceinline=True)
def _read_text(at: int, end: int, places: int) -> tuple[int, int, int]:
    """Return where the text of a category begins and ends, and where its value ends, or 0."""
    byte = byte_at(at)
    if byte == QUOTE:
        return _read_string(at + 1, end, places)
    stop = word_end(at) if byte in (LETTER_T, LETTER_F) else read_integer(at)
    return at, stop, stop


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
def read_leaf(at: int, end: int, number: int, leaf: int, spans: int, places: int) -> int:
    """Read the value at a leaf, texts of an array into spans; return its end, 0 if it cannot."""
    byte = byte_at(at)
    role = layout.leaf_role(leaf)
    if role == CATEGORY and byte == QUOTE:
        layout.set_leaf_holds(leaf, TEXT)
        layout.set_leaf_count(leaf, 1)
        usual = layout.leaf_usual(leaf)
        if string_stops(at + 1) << np.uint64(63 - usual) == _TOP:
            close = at + 1 + usual
            if byte_at(close) == QUOTE and close < end:
                layout.set_leaf_first(leaf, at + 1)
                layout.set_leaf_length(leaf, usual)
                return close + 1
        first, stop, after = _read_string(at + 1, end, places)
        layout.set_leaf_first(leaf, first)
        layout.set_leaf_length(leaf, stop - first)
        layout.set_leaf_usual(leaf, stop - first if usual > STEP and stop - first < STEP else STEP)
        return after
    if byte == LETTER_N:
        layout.set_leaf_holds(leaf, NULL)
        return at + 4 if is_null(at) else 0
    if role == CATEGORY:
        if byte == OPEN_ARRAY:
            return _read_texts(at, end, leaf, spans, places)
        first, stop, after = _read_text(at, end, places)
        layout.set_leaf_holds(leaf, TEXT)
        layout.set_leaf_first(leaf, first)
        layout.set_leaf_length(leaf, stop - first)
        layout.set_leaf_count(leaf, 1)
        return after
    layout.set_leaf_holds(leaf, VALUE)
    place = layout.values(places) + 8 * number
    if role == LABEL and byte in (LETTER_T, LETTER_F):
        layout.write_float64(place, 1.0 if byte == LETTER_T else 0.0)
        return word_end(at)
    if role != NUMBER and byte == MINUS:
        return 0  # for a label or a weight the sign of zero counts
    after, value = read_number(at)
    layout.write_float64(place, value)
    return after
