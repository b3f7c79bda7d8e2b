"""What a caller hands in as events, made into JSON records: text, dictionaries, data frames.

Frames and tables are known by their methods, so no library that makes them is imported.
"""

import math
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from typing import Any, Final, Protocol, cast

import msgspec
import numpy as np

from strandline.errors import EventRejected, WrongUsage
from strandline.events.records import Records, Value
from strandline.spec import Spec

WANTED: Final = (
    "one event, or a list, a pandas DataFrame or a pyarrow Table of events; an event is JSON"
    " (bytes or str) or a dictionary"
)
NAMES_SHOWN: Final = 5


class Frame(Protocol):
    """A pandas DataFrame, and what has its methods: a row is an event."""

    @property
    def columns(self) -> Any:
        """The names of the columns."""
        ...

    def to_dict(self, orient: Any) -> Any:
        """With "records": a list of dictionaries, one per row."""
        ...


class ArrowTable(Protocol):
    """A pyarrow Table or RecordBatch: a row is an event."""

    @property
    def schema(self) -> Any:
        """The names and types of the columns."""
        ...

    def to_pylist(self) -> Any:
        """Return a list of dictionaries, one per row."""
        ...


Event = bytes | str | Mapping[str, Any]
Events = Event | Iterable[Event | None] | Frame | ArrowTable


class EventEncoder:
    """Makes JSON records of events, as one spec reads them; threads may share it.

    A key or a column that is a dotted path of the spec, or leads to one, is the value at that
    path: `{"listing.price": 3}`. NaN, NaT and pandas.NA are null.

    Examples
    --------
    >>> spec = Spec.parse('''
    ... name = "sales"
    ... label.path = "sold"
    ... features.price = { path = "listing.price", kind = "number" }
    ... learners.odds.type = "ftrl"
    ... ''')
    >>> encoder = EventEncoder(spec)
    >>> list(encoder.records({"listing.price": np.float32(3), "seen": np.datetime64("2026-01-02")}))
    [b'{"seen":"2026-01-02","listing":{"price":3.0}}']
    >>> encoder.records(7)
    Traceback (most recent call last):
    strandline.errors.WrongUsage: events: got int, expected one event, or a list, a pandas \
DataFrame or a pyarrow Table of events; an event is JSON (bytes or str) or a dictionary
    """

    def __init__(self, spec: Spec) -> None:
        self._spec = spec
        self._paths = [path for _, path, _ in spec.paths()]
        self._dotted = frozenset(prefix for path in self._paths for prefix in _dotted(path))

    def records(self, events: Events) -> Sequence[Value]:
        """Return one record per event, in order.

        Raises
        ------
        WrongUsage
            If this is nothing that holds events, or a frame with no column that the spec reads.
        EventRejected
            If an event holds a value that JSON cannot; the message names the event.
        """
        if isinstance(events, Records):
            return events
        found = self._rows(events)
        rows = found if isinstance(found, Sequence) else list(found)
        if set(map(type, rows)) <= {bytes, type(None)}:
            return cast("Sequence[Value]", rows)
        return [self._record(row, index, len(rows)) for index, row in enumerate(rows)]

    def each(self, events: Events) -> Iterator[Event | None]:
        """Yield the events one by one, in a form that `records` takes a list of."""
        return iter(self._rows(events))

    def _rows(self, events: Any) -> Iterable[Any]:
        if isinstance(events, bytes | bytearray | memoryview | str | Mapping):
            return [events]
        if hasattr(events, "to_pylist"):  # pyarrow
            return self._checked(events.to_pylist(), getattr(events, "schema", None))
        if hasattr(events, "to_dicts"):  # polars
            return self._checked(events.to_dicts(), events)
        if hasattr(events, "to_dict"):  # pandas; a Series is one row
            framed = hasattr(events, "columns")
            return self._checked(events.to_dict("records"), events) if framed else [events]
        if isinstance(events, Iterable):
            return events
        raise WrongUsage(f"events: got {type(events).__name__}, expected {WANTED}")

    def _checked(self, rows: Sequence[Any], frame: Any) -> Sequence[Any]:
        """Refuse a frame that holds nothing of what the spec reads: all scores would be the same.

        A dictionary may lack optional features; the columns of a frame are there for all rows.
        """
        names = getattr(frame, "names", getattr(frame, "columns", None))
        if names is None or not rows:
            return rows
        known = [str(name) for name in names]
        if not any(path == name or path.startswith(f"{name}.")
                   for path in self._paths for name in known):  # fmt: skip
            raise WrongUsage(
                f"events: got a frame with the columns {_listed(known)}, none of which spec"
                f" {self._spec.name!r} reads; expected {_listed(self._paths)}: rename the columns"
            )
        return rows

    def _record(self, row: Any, index: int, rows: int) -> Value:
        if row is None or isinstance(row, bytes):
            return row
        which = f"event {index} of {rows}" if rows > 1 else "the event"
        try:
            if isinstance(row, bytearray | memoryview):
                return bytes(row)
            if isinstance(row, str):
                return row.encode()
            if hasattr(row, "to_dict"):  # a pandas Series
                row = row.to_dict()
            if isinstance(row, Mapping):
                return _ENCODER.encode(self._nested(row, which))
        except (TypeError, ValueError, OverflowError, RecursionError) as error:
            raise EventRejected(
                f"{which} cannot be written as JSON: {error}; expected null, booleans, numbers,"
                " texts, times, and lists and dictionaries of them"
            ) from error
        raise WrongUsage(f"{which}: got {type(row).__name__}; expected {WANTED}")

    def _nested(self, event: Mapping[Any, Any], which: str) -> Mapping[Any, Any]:
        """Return the event with each key that is a dotted path of the spec at its place."""
        if self._dotted.isdisjoint(event):
            return event
        nested = {key: value for key, value in event.items() if key not in self._dotted}
        copied: set[tuple[str, ...]] = set()
        for path in sorted(filter(self._dotted.__contains__, event), key=len):
            if not _missing(event[path]):
                _put(nested, path, event[path], which, copied)
        return nested


def _dotted(path: str) -> list[str]:
    """Return the path and what leads to it, as far as it has a dot."""
    keys = path.split(".")
    return [".".join(keys[:end]) for end in range(2, len(keys) + 1)]


def _put(
    event: dict[Any, Any], path: str, value: Any, which: str, copied: set[tuple[str, ...]]
) -> None:
    """Put the value at its path; dictionaries of the caller are copied before they change."""
    *above, last = path.split(".")
    place: dict[Any, Any] = event
    for depth, key in enumerate(above, 1):
        inner: Any = place.get(key)
        if _missing(inner):
            inner = {}
        elif not isinstance(inner, Mapping):
            raise EventRejected(
                f"{which} has the key {path!r}, and at {'.'.join(above[:depth])!r} a value that is"
                " no dictionary; expected one of the two"
            )
        if tuple(above[:depth]) not in copied:
            inner = dict(inner)
            copied.add(tuple(above[:depth]))
        place[key] = inner
        place = inner
    if not _missing(place.get(last)):
        raise EventRejected(f"{which} has a value at the path {path!r} and a key {path!r} as well;"
                            " expected one of the two")  # fmt: skip
    place[last] = value


def _missing(value: Any) -> bool:
    """Whether this is None, NaN, NaT or pandas.NA."""
    if value is None or isinstance(value, float):
        return value is None or math.isnan(value)
    if isinstance(value, np.datetime64 | np.timedelta64 | np.floating):
        return bool(np.isnan(value) if isinstance(value, np.floating) else np.isnat(value))
    return type(value).__name__ in {"NaTType", "NAType"}


def _plain(value: Any) -> Any:
    """Return what JSON can hold in place of a value that msgspec does not know."""
    if _missing(value):
        return None
    for kinds, convert in _CONVERSIONS:
        if isinstance(value, kinds):
            return convert(value)
    if hasattr(value, "isoformat"):  # pandas.Timestamp, and other times
        return value.isoformat()
    raise TypeError(f"it holds a value of type {type(value).__name__}")


def _listed(names: Sequence[str]) -> str:
    more = f" and {len(names) - NAMES_SHOWN} more" if len(names) > NAMES_SHOWN else ""
    return ", ".join(names[:NAMES_SHOWN]) + more


_CONVERSIONS: Final[tuple[tuple[Any, Callable[[Any], Any]], ...]] = (
    (np.datetime64 | np.timedelta64, str),
    (np.longdouble, float),
    (np.integer | np.floating | np.bool_ | np.str_, lambda value: value.item()),
    (np.ndarray, lambda value: value.tolist()),
    (Mapping, dict),
)
_ENCODER: Final = msgspec.json.Encoder(enc_hook=_plain, decimal_format="number")
