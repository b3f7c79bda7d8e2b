"""Columns of values, packed: what many versions say of the same thing, one after the other.

One function says in which order the values of a thing come. Called with the values and a `Writing`
it puts them into columns; called with `NOTHING` and a `Reading` it gets them back: every call
returns what the columns hold. A number is kept as its distance from a guess, and any value as a
sign that it is the guess. Both sides make the guess of what they know already, so what is as
expected takes next to nothing.

The columns stand in the order in which they are used first, without names. What has no pattern
(digests, floats) is kept as it is, all else compressed by LZMA.
"""

import json
import lzma
import struct
from collections.abc import Iterator
from itertools import repeat
from typing import Any, Final, Protocol

from strandline.encoding.canonical import canonical_json

VALUES_MAX: Final = 1 << 22
"""How many numbers and characters a reader makes of one block, guesses included: a small file that
stands for many is made to fill a machine's memory."""

_FILTERS: Final = [{"id": lzma.FILTER_LZMA2, "dict_size": 1 << 20, "lc": 3, "lp": 0, "pb": 0}]
_MEMORY_BYTES_MAX: Final = 8 << 20
_REAL: Final = struct.Struct(">d")
_EXACT: Final = 1 << 53
_DIGEST_BYTES: Final = 32
_NUMBER_BYTES_MAX: Final = 10


class _Nothing:
    """Stands for a value that is still to be read, and for every part of it."""

    def __getitem__(self, key: object) -> "_Nothing":
        return self

    def __iter__(self) -> Iterator["_Nothing"]:
        return iter(())


NOTHING: Final[Any] = _Nothing()


class Columns(Protocol):
    """Named columns of values; a name goes with one kind of value.

    `memory` is for guesses: what the function that names the columns remembers between calls.
    """

    memory: dict[Any, Any]

    def number(self, name: str, value: Any, guess: int = 0) -> int:
        """Keep a whole number."""
        ...

    def digest(self, name: str, value: Any) -> str:
        """Keep a SHA-256 of 64 hexadecimal digits."""
        ...

    def real(self, name: str, value: Any, guess: float = 0.0) -> Any:
        """Keep a float, or what stands in the place of one: null, or a number without a point."""
        ...

    def value(self, name: str, value: Any, guess: Any) -> Any:
        """Keep any JSON value; of little use where it often differs from the guess."""
        ...

    def each(self, name: str, values: Any) -> Iterator[Any]:
        """Keep how many there are; yield each, or so many times `NOTHING`."""
        ...


class Writing:
    """Columns that take values."""

    def __init__(self) -> None:
        self.memory: dict[Any, Any] = {}
        self._plain: dict[str, bytearray] = {}
        self._raw: dict[str, bytearray] = {}
        self._order: list[bytearray] = []

    def number(self, name: str, value: Any, guess: int = 0) -> int:
        put_number(self._column(name, self._plain), value - guess)
        return int(value)

    def digest(self, name: str, value: Any) -> str:
        self._column(name, self._raw).extend(bytes.fromhex(value))
        return str(value)

    def real(self, name: str, value: Any, guess: float = 0.0) -> Any:
        if not isinstance(value, float):
            self.number(f"{name} is", 3)
            self.value(name, value, None)
        elif _REAL.pack(value) == _REAL.pack(guess):
            self.number(f"{name} is", 0)
        elif value.is_integer() and 0 < abs(value) < _EXACT:
            self.number(f"{name} is", 1)
            self.number(f"{name} whole", int(value))
        else:
            self.number(f"{name} is", 2)
            self._column(f"{name} bits", self._raw).extend(_REAL.pack(value))
        return value

    def value(self, name: str, value: Any, guess: Any) -> Any:
        text = canonical_json(value)
        other = text != canonical_json(guess)
        self.number(f"{name} other", int(other))
        if other:
            self.number(f"{name} length", len(text))
            self._column(f"{name} text", self._plain).extend(text)
        return value

    def each(self, name: str, values: Any) -> Iterator[Any]:
        values = list(values)
        self.number(name, len(values))
        yield from values

    def packed(self) -> bytes:
        """Return the columns' bytes."""
        raw = {id(column) for column in self._raw.values()}
        head = bytearray()
        put_number(head, len(self._order))
        for column in self._order:
            put_number(head, len(column))
            put_number(head, int(id(column) in raw))
        plain = lzma.compress(
            head + b"".join(self._plain.values()),
            format=lzma.FORMAT_XZ,
            check=lzma.CHECK_NONE,
            filters=_FILTERS,
        )
        whole = bytearray()
        put_number(whole, len(plain))
        return bytes(whole + plain + b"".join(self._raw.values()))

    def _column(self, name: str, columns: dict[str, bytearray]) -> bytearray:
        column = columns.get(name)
        if column is None:
            column = columns[name] = bytearray()
            self._order.append(column)
        return column


class Reading:
    """Columns that give back the values that a `Writing` took. Raises ValueError for other bytes.

    Parameters
    ----------
    data
        What `Writing.packed` returned.
    bytes_max
        How long the compressed part may be when it is decompressed.
    """

    def __init__(self, data: bytes, bytes_max: int) -> None:
        length, begin = take_number(data, 0)
        xz = lzma.LZMADecompressor(format=lzma.FORMAT_XZ, memlimit=_MEMORY_BYTES_MAX)
        try:
            plain = xz.decompress(data[begin : begin + max(0, length)], bytes_max)
        except lzma.LZMAError as error:
            raise ValueError(f"cannot be decompressed: {error}") from error
        if not xz.eof:
            raise ValueError(f"is cut, or holds more than {bytes_max} bytes")
        self.memory: dict[Any, Any] = {}
        self._columns = _columns(plain, data[begin + length :])
        self._numbers: dict[str, Iterator[int]] = {}
        self._pieces: dict[str, Iterator[bytes]] = {}
        self._texts: dict[str, tuple[bytes, int]] = {}
        self._left = VALUES_MAX

    def number(self, name: str, value: Any, guess: int = 0) -> int:  # noqa: ARG002
        column = self._numbers.get(name)
        if column is None:
            numbers = _numbers(self._next())
            self._spend(len(numbers))
            column = self._numbers[name] = iter(numbers)
        try:
            return guess + next(column)
        except StopIteration:
            raise _early(name) from None

    def digest(self, name: str, value: Any) -> str:  # noqa: ARG002
        return self._piece(name, _DIGEST_BYTES).hex()

    def real(self, name: str, value: Any, guess: float = 0.0) -> Any:  # noqa: ARG002
        match self.number(f"{name} is", None):
            case 0:
                return guess
            case 1:
                return float(self.number(f"{name} whole", None))
            case 2:
                return _REAL.unpack(self._piece(f"{name} bits", _REAL.size))[0]
            case _:
                return self.value(name, None, None)

    def value(self, name: str, value: Any, guess: Any) -> Any:  # noqa: ARG002
        if not self.number(f"{name} other", None):
            self._spend(1 if guess is None else len(canonical_json(guess)))
            return guess
        length = self.number(f"{name} length", None)
        text, at = self._texts.get(name) or (self._next(), 0)
        self._texts[name] = text, at + length
        if not at <= at + length <= len(text):
            raise _early(name)
        self._spend(length)
        return json.loads(text[at : at + length])

    def each(self, name: str, values: Any) -> Iterator[Any]:  # noqa: ARG002
        return repeat(NOTHING, max(0, self.number(name, None)))

    def _piece(self, name: str, size_bytes: int) -> bytes:
        column = self._pieces.get(name)
        if column is None:
            data = self._next()
            ends = range(size_bytes, len(data) + 1, size_bytes)
            column = self._pieces[name] = iter([data[end - size_bytes : end] for end in ends])
        try:
            return next(column)
        except StopIteration:
            raise _early(name) from None

    def _next(self) -> bytes:
        try:
            return next(self._columns)
        except StopIteration:
            raise _early("after the last") from None

    def _spend(self, values: int) -> None:
        self._left -= values
        if self._left < 0:
            raise ValueError(f"holds more than {VALUES_MAX} values")


def _columns(plain: bytes, raw: bytes) -> Iterator[bytes]:
    """Yield the columns, whose lengths and kinds stand before them."""
    count, at = take_number(plain, 0)
    heads = []
    for _ in range(count):
        length, at = take_number(plain, at)
        is_raw, at = take_number(plain, at)
        heads.append((length, is_raw))
    ends = [at, 0]
    for length, is_raw in heads:
        part, begin = (raw, plain)[not is_raw], ends[bool(is_raw)]
        ends[bool(is_raw)] = begin + length
        if not begin <= begin + length <= len(part):
            raise _early("")
        yield part[begin : begin + length]


def put_number(column: bytearray, number: int) -> None:
    """Append a number: 7 bits to a byte, the lowest first, the sign in the lowest bit."""
    number = number << 1 if number >= 0 else (-number << 1) - 1
    while number >= 0x80:
        column.append(number & 0x7F | 0x80)
        number >>= 7
    column.append(number)


def take_number(data: bytes, at: int) -> tuple[int, int]:
    """Return the number that begins there, and where it ends."""
    number = shift = 0
    for end in range(at, min(at + _NUMBER_BYTES_MAX, len(data))):
        number |= (data[end] & 0x7F) << shift
        if data[end] < 0x80:
            return (number >> 1) ^ -(number & 1), end + 1
        shift += 7
    raise ValueError("a number has no end")


def _numbers(data: bytes) -> list[int]:
    """Return the numbers of a whole column; most of them take one byte."""
    found, at = [], 0
    while at < len(data):
        byte = data[at]
        if byte < 0x80:
            number, at = (byte >> 1) ^ -(byte & 1), at + 1
        else:
            number, at = take_number(data, at)
        found.append(number)
    return found


def _early(name: str) -> ValueError:
    return ValueError(f"column {name!r} ends early")
