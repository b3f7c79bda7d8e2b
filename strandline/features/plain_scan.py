"""From the bytes of records to typed events, one by one: no event can touch another's decoding."""

import re
from collections.abc import Callable, Sequence
from typing import Any, Final, NamedTuple

import msgspec
import numpy as np

from strandline.features.rejection import Reason, Rejection
from strandline.spec import Limits

# One string of a JSON text, or its rest when the string does not end. The unrolled loop runs in
# time linear in the text.
_STRING: Final = re.compile(rb'"[^"\\]*(?:\\.[^"\\]*)*"?', re.DOTALL)
_NO_BRACKET: Final = bytes(set(range(256)) - set(b"[]{}"))
_STEPS: Final = np.zeros(256, dtype=np.int8)
_STEPS[list(b"[{")] = 1
_STEPS[list(b"]}")] = -1

_VALUE_CHARS_MAX: Final = 80
_object: Final = msgspec.json.Decoder(dict[str, msgspec.Raw])
_json_only: Final = msgspec.json.Decoder(msgspec.Raw)


class Scanned(NamedTuple):
    """Events that have the spec's types, their indices in the call, and all other records."""

    events: list[Any]
    indices: list[int]
    rejections: list[Rejection]


def nesting(record: bytes) -> int:
    """Return how many arrays and objects enclose the innermost one, itself included.

    Brackets in strings do not count. For bytes that are not JSON it is at least the nesting of
    what a parser reads before it meets the fault.

    Examples
    --------
    >>> nesting(b'{"a": [[], []], "b": "[[[["}')
    3
    """
    brackets = _STRING.sub(b"", record).translate(None, _NO_BRACKET)
    depths = np.cumsum(_STEPS[np.frombuffer(brackets, dtype=np.uint8)], dtype=np.int32)
    return int(depths.max(initial=0))


def scan(
    records: Sequence[bytes | None], decode: Callable[[bytes], Any], limits: Limits
) -> Scanned:
    """Decode each record by `decode`, a typed msgspec decoder; bounds come before parsing."""
    events: list[Any] = []
    indices: list[int] = []
    rejections: list[Rejection] = []
    bytes_max, depth_max = limits.event_bytes, limits.depth
    for index, record in enumerate(records):
        if not record:
            rejections.append(Rejection(index, "empty", "no bytes"))
            continue
        if len(record) > bytes_max:
            detail = f"{len(record)} bytes, at most {bytes_max}"
            rejections.append(Rejection(index, "too_long", detail))
            continue
        # An event with few opening brackets in all cannot be deep; only others are looked at.
        brackets = record.count(b"{") + record.count(b"[")
        if brackets > depth_max and (depth := nesting(record)) > depth_max:
            detail = f"nesting {depth}, at most {depth_max}"
            rejections.append(Rejection(index, "too_deep", detail))
            continue
        try:
            # The typed decoder skips what the spec does not name without a look at its UTF-8.
            if not record.isascii():
                record.decode()
            event = decode(record)
        except (msgspec.DecodeError, UnicodeDecodeError, RecursionError) as error:
            rejections.append(Rejection(index, *_fault(record, error)))
            continue
        events.append(event)
        indices.append(index)
    return Scanned(events, indices, rejections)


def _fault(record: bytes, error: Exception) -> tuple[Reason, str, str]:
    """Tell a wrong type from bytes that are not JSON, wherever the typed decoder stopped.

    Return the reason, what was wrong, and the path if there is one.
    """
    if isinstance(error, msgspec.ValidationError):
        try:
            _json_only.decode(record)
        except (msgspec.DecodeError, UnicodeDecodeError, RecursionError) as syntax_error:
            return "not_json", str(syntax_error), ""
        return "wrong_type", *_wrong_type(record, str(error))
    return "not_json", str(error), ""


def _wrong_type(record: bytes, message: str) -> tuple[str, str]:
    """Return msgspec's message with the path first and the value last, and the path.

    >>> _wrong_type(b'{"a": {"b": "12.5"}}', "Expected `float | null`, got `str` - at `$.a.b`")
    ('a.b: expected float or null, got "12.5"', 'a.b')
    """
    text, _, where = message.replace("`", "").partition(" - at $")
    path = where.removeprefix(".")
    expected = text.partition(", got ")[0].replace(" | ", " or ")
    detail = f"{expected[:1].lower()}{expected[1:]}, got {_value_at(record, path)}"
    return (f"{path}: {detail}" if path else detail), path


def _value_at(record: bytes, path: str) -> str:
    """Return the text of the value at a path of msgspec's; for an element's the whole array's."""
    value = record
    try:
        for key in filter(None, path.partition("[")[0].split(".")):
            value = bytes(_object.decode(value)[key])
    except (msgspec.DecodeError, UnicodeDecodeError, KeyError):
        return "something else"  # a key that is written with escapes, or is there several times
    text = value[: 4 * _VALUE_CHARS_MAX].decode("utf-8", "replace").strip()
    return text if len(text) <= _VALUE_CHARS_MAX else f"{text[:_VALUE_CHARS_MAX]}…"
