"""Values of a JSON text in kernels: where they end, or 0 where the kernel cannot tell.

Every function takes the address of the first byte and returns that of the first byte after the
value. 0 says that the bytes are no JSON, or JSON that only the plain decoder reads. A value may be
found to end beyond `end`, within `PADDING`: whoever asks compares.
"""

from typing import Final

import numpy as np
from numba import njit

from strandline.features.numbers import number_end
from strandline.kernels.memory import (
    MASK_BYTES,
    byte_at,
    half_at,
    lowest_bit,
    string_stops,
    writer,
)

QUOTE, BACKSLASH, COMMA, COLON, MINUS, ZERO, NINE = b'"\\,:-09'
OPEN_OBJECT, CLOSE_OBJECT, OPEN_ARRAY, CLOSE_ARRAY = b"{}[]"
LETTER_T, LETTER_F, LETTER_N, LETTER_U = b"tfnu"
_SPACE, _TAB, _LINE_FEED, _RETURN = b" \t\n\r"
_ESCAPED: Final = np.zeros(256, np.uint8)  # what stands for which byte after a backslash
_ESCAPED[[*b'"\\/bfnrt']] = [*b'"\\/\b\f\n\r\t']
_TRUE, _ALSE, _NULL = (
    np.uint64(int.from_bytes(word, "little")) for word in (b"true", b"alse", b"null")
)
_HIGH_HALF, _LOW_HALF, _HALVES_END = 0xD800, 0xDC00, 0xE000  # of characters beyond 16 bits
DEPTH_MAX: Final = 256
write_byte = writer(np.uint8)


@njit(nogil=True, forceinline=True)
def skip_space(at: int, end: int) -> int:
    """Return the first byte that is no white space, at most `end`."""
    while at < end:
        byte = byte_at(at)
        if byte > _SPACE or (byte not in (_SPACE, _LINE_FEED, _RETURN, _TAB)):
            break
        at += 1
    return at


@njit(nogil=True)
def _is_rest(byte: int) -> bool:
    return byte & 0xC0 == 0x80


@njit(nogil=True)
def _character_end(at: int) -> int:
    """Return the end of a character of two to four bytes in UTF-8 (RFC 3629), 0 if it is none."""
    first, second = byte_at(at), byte_at(at + 1)
    if not _is_rest(second):
        return 0
    if 0xC2 <= first <= 0xDF:
        return at + 2
    if not _is_rest(byte_at(at + 2)):
        return 0
    if 0xE0 <= first <= 0xEF:
        overlong = first == 0xE0 and second < 0xA0
        surrogate = first == 0xED and second >= 0xA0
        return 0 if overlong or surrogate else at + 3
    if not _is_rest(byte_at(at + 3)) or not 0xF0 <= first <= 0xF4:
        return 0
    overlong = first == 0xF0 and second < 0x90
    beyond = first == 0xF4 and second >= 0x90
    return 0 if overlong or beyond else at + 4


@njit(nogil=True)
def _hex_value(byte: int) -> int:
    if ZERO <= byte <= NINE:
        return byte - ZERO
    byte |= 0x20
    return byte - 0x61 + 10 if 0x61 <= byte <= 0x66 else -1


@njit(nogil=True)
def _hex_code(at: int) -> int:
    """Return the number of ``uXXXX``, -1 if it is none."""
    if byte_at(at) != LETTER_U:
        return -1
    code = 0
    for place in range(1, 5):
        digit = _hex_value(byte_at(at + place))
        if digit < 0:
            return -1
        code = code << 4 | digit
    return code


@njit(nogil=True)
def _escape(at: int) -> tuple[int, int]:
    r"""Return the end of an escape after its backslash, 0 if it is none, and its character.

    A character beyond 16 bits is a pair of escapes; half of one is no character.
    """
    byte = byte_at(at)
    if _ESCAPED[byte]:
        return at + 1, int(_ESCAPED[byte])
    code = _hex_code(at)
    if not _HIGH_HALF <= code < _HALVES_END:
        return at + 5 if code >= 0 else 0, code
    low = _hex_code(at + 6) if byte_at(at + 5) == BACKSLASH else -1
    if code >= _LOW_HALF or not _LOW_HALF <= low < _HALVES_END:
        return 0, 0
    return at + 11, 0x10000 + ((code - _HIGH_HALF) << 10) + (low - _LOW_HALF)


@njit(nogil=True)
def _write_character(code: int, to: int) -> int:
    """Write a character in UTF-8; return its end."""
    if code < 0x80:
        write_byte(to, code)
        return to + 1
    if code < 0x800:
        write_byte(to, 0xC0 | code >> 6)
        write_byte(to + 1, 0x80 | code & 0x3F)
        return to + 2
    if code < 0x10000:
        write_byte(to, 0xE0 | code >> 12)
        write_byte(to + 1, 0x80 | code >> 6 & 0x3F)
        write_byte(to + 2, 0x80 | code & 0x3F)
        return to + 3
    write_byte(to, 0xF0 | code >> 18)
    write_byte(to + 1, 0x80 | code >> 12 & 0x3F)
    write_byte(to + 2, 0x80 | code >> 6 & 0x3F)
    write_byte(to + 3, 0x80 | code & 0x3F)
    return to + 4


@njit(nogil=True)
def unescape(at: int, end: int, to: int) -> tuple[int, int]:
    """Write a string's text, no longer than the string; return its closing quote and text's end.

    (0, 0) if it is no string.
    """
    while at < end:
        byte = byte_at(at)
        if byte == QUOTE:
            return at, to
        if byte == BACKSLASH:
            at, code = _escape(at + 1)
            if at == 0:
                return 0, 0
            to = _write_character(code, to)
            continue
        stop = at + 1 if byte < 0x80 else _character_end(at)
        if byte < 0x20 or stop == 0:
            return 0, 0
        while at < stop:
            write_byte(to, byte_at(at))
            at, to = at + 1, to + 1
    return 0, 0


@njit(nogil=True, forceinline=True)
def string_end(at: int, end: int, escapes: bool) -> int:
    """Return where the closing quote is, from the byte after the opening one on."""
    stops = string_stops(at)
    if stops != 0:  # nearly every string is short and plain
        close = at + lowest_bit(stops)
        if close < end and byte_at(close) == QUOTE:
            return close
    return _long_string_end(at, end, escapes)


@njit(nogil=True)
def _long_string_end(at: int, end: int, escapes: bool) -> int:
    while at < end:
        stops = string_stops(at)
        if stops == 0:
            at += MASK_BYTES
            continue
        at += lowest_bit(stops)
        byte = byte_at(at)
        if byte == QUOTE:
            return at if at < end else 0
        if byte >= 0x80:
            at = _character_end(at)
        elif byte == BACKSLASH and escapes:
            at = _escape(at + 1)[0]
        else:
            return 0
        if at == 0:
            return 0
    return 0


@njit(nogil=True, forceinline=True)
def is_null(at: int) -> bool:
    """Whether ``null`` stands here."""
    return half_at(at) == _NULL


@njit(nogil=True)
def word_end(at: int) -> int:
    """Return the end of ``true`` or ``false``."""
    if half_at(at) == _TRUE:
        return at + 4
    return at + 5 if byte_at(at) == LETTER_F and half_at(at + 1) == _ALSE else 0


@njit(nogil=True)
def _scalar_end(at: int, end: int) -> int:
    byte = byte_at(at)
    if byte == QUOTE:
        stop = string_end(at + 1, end, True)
        return stop + 1 if stop else 0
    if byte == LETTER_N:
        return at + 4 if is_null(at) else 0
    if byte in (LETTER_T, LETTER_F):
        return word_end(at)
    return number_end(at)


@njit(nogil=True)
def _member_value(at: int, end: int) -> int:
    """Return where the value of an object's member begins, from before its key on."""
    at = skip_space(at, end)
    if byte_at(at) != QUOTE:
        return 0
    at = string_end(at + 1, end, True)
    if at == 0:
        return 0
    at = skip_space(at + 1, end)
    return skip_space(at + 1, end) if byte_at(at) == COLON else 0


@njit(nogil=True)
def value_end(at: int, end: int, room: int, kinds: int) -> int:
    """Return the end of any value, in which at most `room` containers enclose each other.

    `kinds` is the address of `DEPTH_MAX` bytes to write on, `room` is below that.
    """
    level = 0
    while at < end:
        byte = byte_at(at)
        if byte in (OPEN_OBJECT, OPEN_ARRAY):
            if level == room:
                return 0
            close = byte + 2  # in ASCII, of both kinds
            write_byte(kinds + level, close)
            level += 1
            at = skip_space(at + 1, end)
            if byte_at(at) != close:
                if byte == OPEN_OBJECT:
                    at = _member_value(at, end)
                    if at == 0:
                        return 0
                continue
        else:
            at = _scalar_end(at, end)
            if at == 0 or level == 0:
                return at
            at = skip_space(at, end)
        while at < end and level > 0 and byte_at(at) == byte_at(kinds + level - 1):
            level -= 1
            at = at + 1 if level == 0 else skip_space(at + 1, end)
        if level == 0:
            return at
        if at >= end or byte_at(at) != COMMA:
            return 0
        at = skip_space(at + 1, end)
        if byte_at(kinds + level - 1) == CLOSE_OBJECT:
            at = _member_value(at, end)
            if at == 0:
                return 0
    return 0
