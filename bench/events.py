"""Advertising events as the throughput benches read them: 13 numbers, 26 categories, a label.

    {"_label":0,"_time":1767225600000,"i1":3,"i2":0.52,…,"c1":"05db9164",…,"c26":"8efede7f"}\\n

About 580 bytes each. Category k has from 4 to 200,000 values, the small ones more often; every
value and every number pulls the logit of the label its own way. VW reads the same bytes: it takes
`_label` for the label and skips other names with an underscore. Everything follows from the
event's index, so that any piece of the stream can be made on its own.
"""

from collections.abc import Iterator
from typing import Final, NamedTuple

import numpy as np
from numba import njit
from numpy.typing import NDArray

NUMBERS: Final = 13
CATEGORIES: Final = 26
CHUNK_EVENTS: Final = 20_000
EVENT_BYTES_MAX: Final = 800
START_MS: Final = 1_767_225_600_000
CARDINALITIES: Final = np.geomspace(4, 200_000, CATEGORIES).astype(np.uint64)
BIAS: Final = -1.4

Bytes = NDArray[np.uint8]
Word = np.uint64

SPEC: Final = "\n".join(
    [
        'name = "ads"',
        'label.path = "_label"',
        *(f'features.i{n} = {{kind = "number", transform = "log1p"}}' for n in range(1, 14)),
        *(f'features.c{n} = {{kind = "category"}}' for n in range(1, 27)),
        'learners.ctr = {type = "ftrl", bits = 22}',
        "",
    ]
)


class Form(NamedTuple):
    """The constant bytes of one text form of an event."""

    head: Bytes
    time: Bytes
    keys: Bytes
    key_ends: NDArray[np.int64]
    quote: Bytes
    end: Bytes


def make_form(head: str, time: str, keys: list[str], quote: str, end: str) -> Form:
    """Return a form; without `time` it shows no time."""
    lengths = np.cumsum([len(key) for key in keys])
    head_, time_, keys_, quote_, end_ = (
        np.frombuffer(text.encode(), np.uint8) for text in (head, time, "".join(keys), quote, end)
    )
    return Form(head_, time_, keys_, lengths, quote_, end_)


JSON: Final = make_form(
    '{"_label":',
    ',"_time":',
    [f',"i{n}":' for n in range(1, 14)] + [f',"c{n}":"' for n in range(1, 27)],
    '"',
    "}\n",
)
VW_TEXT: Final = make_form(
    "",
    "",
    [f"{' |' if n == 1 else ''} i{n}:" for n in range(1, 14)] + [f" c{n}=" for n in range(1, 27)],
    "",
    "\n",
)


def lines(count: int, form: Form = JSON, first: int = 0) -> Iterator[bytes]:
    """Yield the events `first` to `first + count` in pieces of whole lines.

    >>> b"".join(lines(1)).startswith(b'{"_label":0,"_time":1767225600000,"i1":')
    True
    >>> b"".join(lines(CHUNK_EVENTS + 5)).count(b"\\n") == CHUNK_EVENTS + 5
    True
    """
    out = np.empty(CHUNK_EVENTS * EVENT_BYTES_MAX, np.uint8)
    for begin in range(first, first + count, CHUNK_EVENTS):
        end = min(begin + CHUNK_EVENTS, first + count)
        used = render(out, begin, end, CARDINALITIES, *form)
        yield out[:used].tobytes()


@njit(cache=True)
def mix(value: Word) -> Word:
    """splitmix64's finaliser."""
    value = value * np.uint64(0x9E3779B97F4A7C15)
    value = (value ^ (value >> np.uint64(30))) * np.uint64(0xBF58476D1CE4E5B9)
    value = (value ^ (value >> np.uint64(27))) * np.uint64(0x94D049BB133111EB)
    return value ^ (value >> np.uint64(31))


@njit(cache=True)
def uniform(index: int, column: int) -> float:
    """A number in [0, 1) for a column of an event."""
    word = mix(np.uint64(index) * np.uint64(64) + np.uint64(column))
    return float(word >> np.uint64(11)) / 9007199254740992.0


@njit(cache=True)
def put(out: Bytes, at: int, piece: Bytes) -> int:
    """Write a piece; return where it ends."""
    for place in range(len(piece)):
        out[at + place] = piece[place]
    return at + len(piece)


@njit(cache=True)
def put_integer(out: Bytes, at: int, value: int) -> int:
    """Write an integer >= 0 in decimal; return where it ends."""
    digits = 1
    rest = value // 10
    while rest:
        digits += 1
        rest //= 10
    for place in range(digits):
        out[at + digits - 1 - place] = 48 + value % 10
        value //= 10
    return at + digits


@njit(cache=True)
def put_hundredths(out: Bytes, at: int, value: int) -> int:
    """Write value / 100 with two decimals; return where it ends."""
    at = put_integer(out, at, value // 100)
    out[at] = 46
    out[at + 1] = 48 + value // 10 % 10
    out[at + 2] = 48 + value % 10
    return at + 3


@njit(cache=True)
def put_hex(out: Bytes, at: int, word: Word) -> int:
    """Write the low 32 bits as 8 hexadecimal digits; return where they end."""
    for place in range(8):
        digit = np.int64((word >> np.uint64(28 - 4 * place)) & np.uint64(15))
        out[at + place] = 48 + digit if digit < 10 else 87 + digit
    return at + 8


@njit(cache=True)
def pull(word: Word) -> float:
    """How a category's value moves the logit: about normal, from its upper 32 bits."""
    total = 0.0
    for shift in (32, 40, 48, 56):
        total += float((word >> np.uint64(shift)) & np.uint64(255)) / 255.0 - 0.5
    return 0.45 * total


@njit(nogil=True, cache=True)
def render(  # noqa: PLR0917 (numba)
    out: Bytes,
    first: int,
    end: int,
    cardinalities: NDArray[np.uint64],
    head: Bytes,
    time: Bytes,
    keys: Bytes,
    key_ends: NDArray[np.int64],
    quote: Bytes,
    close: Bytes,
) -> int:
    """Write the events [first, end); return the bytes written."""
    at = 0
    hundredths = np.empty(NUMBERS, np.int64)
    words = np.empty(CATEGORIES, np.uint64)
    for index in range(first, end):
        logit = BIAS
        for n in range(NUMBERS):
            value = -np.log(1.0 - uniform(index, n)) * (0.5 + 0.5 * n)
            hundredths[n] = np.int64(100.0 * value) if n % 2 else 100 * np.int64(value)
            logit += (n % 5 - 2) * 0.15 * (np.log1p(hundredths[n] / 100.0) - 1.0)
        for n in range(CATEGORIES):
            skewed = uniform(index, NUMBERS + n) ** 3
            value = np.uint64(skewed * float(cardinalities[n]))
            words[n] = mix((np.uint64(n + 1) << np.uint64(40)) + value)
            logit += pull(words[n])
        label = uniform(index, 63) < 1.0 / (1.0 + np.exp(-logit))
        at = put_integer(out, put(out, at, head), np.int64(label))
        if len(time):
            at = put_integer(out, put(out, at, time), START_MS + 5 * index)
        key = 0
        for n in range(NUMBERS):
            at = put(out, at, keys[key : key_ends[n]])
            key = key_ends[n]
            if n % 2:
                at = put_hundredths(out, at, hundredths[n])
            else:
                at = put_integer(out, at, hundredths[n] // 100)
        for n in range(CATEGORIES):
            at = put(out, at, keys[key : key_ends[NUMBERS + n]])
            key = key_ends[NUMBERS + n]
            at = put(out, put_hex(out, at, words[n]), quote)
        at = put(out, at, close)
    return at
