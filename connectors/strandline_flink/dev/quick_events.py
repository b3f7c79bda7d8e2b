"""The plain reading of events, quickly: a compiled parser, and few checks of what is usual.

An event is usual if the types and sizes of its values show that it is sound: texts and whole
numbers, short lists of them, numbers far from any bound. All others are left to `plain_events`.
"""

from collections.abc import Callable, Collection, Iterator
from typing import Any, Final, NamedTuple

import orjson

from strandline.limits import NUMBER_MAX
from strandline.spec import Category, Cross, Number, Spec
from strandline_flink.dev.plain_events import read_event

VALUE_MAX: Final = 1e6
"""A number up to this is usual; so is a weight, and one of at least its inverse."""

WHOLE_MAX: Final = 10**15
VALUES_MAX: Final = 64
OUTCOME, NUMBER, CATEGORY = range(3)

Check = Callable[[Any], bool]


class Counted(NamedTuple):
    """A sound event: the distinct values of the category, and whether its label is above 0."""

    values: Collection[str]
    positive: bool


class EventReader:
    """Reads events of one spec for the values of one category.

    Examples
    --------
    >>> spec = Spec.parse('''
    ... name = "clicks"
    ... label.path = "click"
    ... features.item = { path = "item.id", kind = "category" }
    ... learners.popularity = { type = "counts", feature = "item" }
    ... ''')
    >>> reader = EventReader(spec, "item")
    >>> reader.read(b'{"click": 1, "item": {"id": "hat"}}')
    Counted(values=('hat',), positive=True)
    >>> reader.read(b'{"click": null, "item": {"id": "hat"}}')
    """

    def __init__(self, spec: Spec, feature: str) -> None:
        category = spec.features[feature]
        assert isinstance(category, Category), f"{feature} is a category"
        self._spec, self._category, self._label = spec, category.path, spec.label.path
        self._bytes_max, self._depth_max = spec.limits.event_bytes, spec.limits.depth
        self._quick, self._places = _allows_quick(spec), [*_places(spec).items()]

    def read(self, record: bytes | None) -> Counted | None:
        """Return what a sound event counts as, None for a malformed one."""
        if record and self._quick and self._is_bounded(record):
            try:
                event = orjson.loads(record)
            except orjson.JSONDecodeError:
                event = None
            if event.__class__ is dict and self._is_usual(event):
                value, label = _at(event, self._category), _at(event, self._label)
                several = value.__class__ is list
                values = set(map(str, value)) if several else () if value is None else (str(value),)
                return Counted(values, label > 0)
        plain = read_event(record, self._spec)
        if plain is None:
            return None
        return Counted(set(plain[self._category]), plain[self._label] > 0)

    def _is_bounded(self, record: bytes) -> bool:
        brackets = record.count(b"[") + record.count(b"{")
        return len(record) <= self._bytes_max and brackets <= self._depth_max

    def _is_usual(self, event: dict[str, Any]) -> bool:
        for above, values in self._places:
            place: Any = event
            for key in above:
                place = place.get(key)
                if place.__class__ is not dict:
                    return False
            for key, role, is_usual in values:
                value = place.get(key)
                kind = value.__class__
                if kind is str:  # the most frequent cases need no call
                    if role == CATEGORY:
                        continue
                elif (
                    (kind is int and role != OUTCOME) or (kind is float and role == NUMBER)
                ) and -VALUE_MAX <= value <= VALUE_MAX:
                    continue
                if not is_usual(value):
                    return False
        return True


def _at(event: Any, path: str) -> Any:
    for key in path.split("."):
        event = event.get(key)
    return event


def _places(spec: Spec) -> dict[tuple[str, ...], list[tuple[str, int, Check]]]:
    """Return what is read by the keys that lead to the object that holds it."""
    found: dict[tuple[str, ...], list[tuple[str, int, Check]]] = {}
    for path, role, check in _checks(spec):
        *above, key = path.split(".")
        found.setdefault(tuple(above), []).append((key, role, check))
    return found


def _checks(spec: Spec) -> Iterator[tuple[str, int, Check]]:
    yield spec.label.path, OUTCOME, _is_zero_or_one if spec.binary else _is_small
    if spec.weight is not None:
        yield spec.weight.path, OUTCOME, _is_weight
    values_max = _values_max(spec)
    for feature in spec.features.values():
        match feature:
            case Number():
                yield feature.path, NUMBER, _optional(feature.required, _is_small)
            case Category():
                check = _optional(feature.required, _is_up_to(values_max))
                yield feature.path, CATEGORY, check
            case Cross():
                continue


def _allows_quick(spec: Spec) -> bool:
    """Whether usual values are sound whatever they are: no number and no limit is at its bounds."""
    weight_max = 1.0 if spec.weight is None else VALUE_MAX
    numbers = [each for each in spec.features.values() if isinstance(each, Number)]
    largest = max(map(_largest, numbers), default=0.0)
    return largest * weight_max < NUMBER_MAX / 2 and _values_max(spec) > 0


def _largest(number: Number) -> float:
    """Return a bound on what a number up to VALUE_MAX becomes; transforms do not enlarge it."""
    low, high = number.clip or (0.0, 0.0)
    return max((VALUE_MAX + abs(number.offset)) * abs(number.scale), low, -high)


def _values_max(spec: Spec) -> int:
    """Return how many values each category may have at once, whatever the others have."""
    crosses = [each.of for each in spec.features.values() if isinstance(each, Cross)]
    categories = [name for name, each in spec.features.items() if isinstance(each, Category)]

    def entries(values: int) -> int:
        crossed: int = sum(values ** sum(part in categories for part in of) for of in crosses)
        return values * len(categories) + len(spec.features) + crossed

    return max(
        (n for n in range(1, VALUES_MAX + 1) if entries(n) <= spec.limits.entries), default=0
    )


def _is_small(value: Any) -> bool:
    return value.__class__ in (int, float) and -VALUE_MAX <= value <= VALUE_MAX


def _is_weight(value: Any) -> bool:
    return value.__class__ in (int, float) and 1 / VALUE_MAX <= value <= VALUE_MAX


def _is_zero_or_one(value: Any) -> bool:
    return value.__class__ in (int, bool) and value in (0, 1)


def _is_text_or_whole(value: Any) -> bool:
    return value.__class__ is str or (value.__class__ is int and -WHOLE_MAX <= value <= WHOLE_MAX)


def _is_up_to(values_max: int) -> Check:
    def check(value: Any) -> bool:
        if value.__class__ is list:
            return 0 < len(value) <= values_max and all(map(_is_text_or_whole, value))
        return _is_text_or_whole(value)

    return check


def _optional(required: bool, check: Check) -> Check:
    return check if required else lambda value: value is None or check(value)
