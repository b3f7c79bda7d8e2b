"""Slow, obvious decoding: one event at a time, the json module, plain Python numbers.

It shares the spec and the formulas of docs/format.md with the library, none of its code.
"""

import itertools
import json
import math
import struct
from typing import Any, NamedTuple

from xxhash import xxh64_intdigest

from strandline.limits import NUMBER_MAX
from strandline.spec import Category, Cross, Feature, Number, Spec


class Event(NamedTuple):
    """One decoded event: (key, field index, value) per entry, label, weight."""

    entries: list[tuple[int, int, float]]
    label: float
    weight: float


class Reject(Exception):
    """The event is rejected; the one argument is the reason."""


class Pairs(list[tuple[str, Any]]):
    """A JSON object with all its pairs, repeated keys too."""


def decode(record: bytes | None, spec: Spec, *, labelled: bool = True) -> Event | str:
    """Return the decoded event, or the reason why there is none."""
    try:
        event = parse(record, spec)
        typed = {
            path: lookup(event, path.split("."), role)
            for _, path, role in spec.paths()
            if labelled or role in ("number", "category")
        }
        label, weight = outcome(typed, spec) if labelled else (0.0, 1.0)
        return Event(entries(typed, spec, weight), label, weight)
    except Reject as reject:
        return str(reject)


def parse(record: bytes | None, spec: Spec) -> Pairs:
    if not record:
        raise Reject("empty")
    if len(record) > spec.limits.event_bytes:
        raise Reject("too_long")
    if depth(record) > spec.limits.depth:
        raise Reject("too_deep")
    try:
        text = record.decode("utf-8")
        if text.startswith("\ufeff"):
            raise ValueError
        event = json.loads(
            text, object_pairs_hook=Pairs, parse_int=big, parse_float=float, parse_constant=no
        )
        refuse_surrogates(event)
    except ValueError:
        raise Reject("not_json") from None
    if not isinstance(event, Pairs):
        raise Reject("wrong_type")
    return event


def depth(record: bytes) -> int:
    """Walk the bytes one by one, in or out of a string."""
    inside, skip, now, deepest = False, False, 0, 0
    for byte in record:
        char = chr(byte)
        if inside:
            if skip:
                skip = False
            elif char == "\\":
                skip = True
            elif char == '"':
                inside = False
        elif char == '"':
            inside = True
        elif char in "[{":
            now += 1
            deepest = max(deepest, now)
        elif char in "]}":
            now -= 1
    return deepest


def big(digits: str) -> int | float:
    """Python refuses to read integers of thousands of digits; all of them are out of range."""
    return int(digits) if len(digits) < 400 else float(digits)


def no(constant: str) -> float:
    raise ValueError(constant)


def refuse_surrogates(value: Any) -> None:
    if isinstance(value, str):
        value.encode("utf-8")
    elif isinstance(value, Pairs):
        for key, inner in value:
            refuse_surrogates(key)
            refuse_surrogates(inner)
    elif isinstance(value, list):
        for inner in value:
            refuse_surrogates(inner)


def lookup(event: Any, keys: list[str], role: str) -> Any:
    """Return the last value at the path; every value on the way must have its type."""
    if not keys:
        return checked(event, role)
    if event is None:
        return None
    if not isinstance(event, Pairs):
        raise Reject("wrong_type")
    found = None
    for key, inner in event:
        if key == keys[0]:
            found = lookup(inner, keys[1:], role)
    return found


def checked(value: Any, role: str) -> Any:
    if value is None:
        return None
    if role == "category":
        values = value if type(value) is list else [value]
        if all(is_category(inner) for inner in values):
            return values
    elif type(value) is bool and role == "label":
        return float(value)
    elif type(value) in (int, float):
        try:
            number = float(value)
        except OverflowError:
            raise Reject("wrong_type") from None
        if math.isfinite(number):
            return number
    raise Reject("wrong_type")


def is_category(value: Any) -> bool:
    if type(value) is int:
        return bool(-(2**63) <= value < 2**63)
    return type(value) in (str, bool)


def outcome(typed: dict[str, Any], spec: Spec) -> tuple[float, float]:
    label = typed[spec.label.path]
    if label is None:
        raise Reject("missing_label")
    if (spec.binary and label not in (0, 1)) or abs(as_float32(label)) > NUMBER_MAX:
        raise Reject("bad_label")
    weight = 1.0 if spec.weight is None else typed[spec.weight.path]
    if weight is None or not 0 < as_float32(weight) <= NUMBER_MAX:
        raise Reject("bad_weight")
    return as_float32(label), as_float32(weight)


def entries(typed: dict[str, Any], spec: Spec, weight: float) -> list[tuple[int, int, float]]:
    for feature in spec.features.values():
        if isinstance(feature, Cross) or not feature.required:
            continue
        if typed[feature.path] in (None, []):
            raise Reject("missing_feature")
    for feature in spec.features.values():
        if not isinstance(feature, Number) or typed[feature.path] is None:
            continue
        value = as_float32(transformed(typed[feature.path], feature))
        if abs(value) * max(weight, 1.0) > NUMBER_MAX:
            raise Reject("too_large")
    if sum(count(typed, spec, feature) for feature in spec.features.values()) > spec.limits.entries:
        raise Reject("too_many_entries")
    found = [
        (key, field, value)
        for field, (name, feature) in enumerate(spec.features.items())
        for key, value in feature_entries(typed, spec, name, feature)
    ]
    return [*found, (xxh64_intdigest(b"", 0), 65_535, 1.0)]


def count(typed: dict[str, Any], spec: Spec, feature: Feature) -> int:
    if isinstance(feature, Cross):
        return math.prod(count(typed, spec, spec.features[part]) for part in feature.of)
    if isinstance(feature, Category):
        return len(typed[feature.path] or [])
    return 0 if typed[feature.path] is None else 1


def feature_entries(
    typed: dict[str, Any], spec: Spec, name: str, feature: Feature
) -> list[tuple[int, float]]:
    if isinstance(feature, Number):
        value = typed[feature.path]
        return [] if value is None else [(seed(name), as_float32(transformed(value, feature)))]
    if isinstance(feature, Category):
        return [(key, 1.0) for key in category_keys(typed, name, feature)]
    parts = []
    for part in feature.of:
        category = spec.features[part]
        assert isinstance(category, Category)
        parts.append(category_keys(typed, part, category))
    return [(cross_key(keys, name), 1.0) for keys in itertools.product(*parts)]


def seed(name: str) -> int:
    return xxh64_intdigest(name.encode("utf-8"), 0)


def category_keys(typed: dict[str, Any], name: str, feature: Category) -> list[int]:
    texts = [
        {True: "true", False: "false"}[value] if type(value) is bool else str(value)
        for value in typed[feature.path] or []
    ]
    return [xxh64_intdigest(text.encode("utf-8"), seed(name)) for text in texts]


def cross_key(keys: tuple[int, ...], name: str) -> int:
    return xxh64_intdigest(struct.pack(f"<{len(keys)}Q", *keys), seed(name))


def transformed(value: float, number: Number) -> float:
    if number.transform == "sqrt":
        value = math.copysign(math.sqrt(abs(value)), value)
    elif number.transform == "log1p":
        value = math.copysign(log1p(abs(value)), value)
    value = (value - number.offset) * number.scale
    if number.clip is not None:
        value = min(max(value, number.clip[0]), number.clip[1])
    return value


def log1p(x: float) -> float:
    """fdlibm's formula, operation by operation as in `strandline.kernels.logarithm`."""
    whole = 1.0 + x
    rest = (1.0 - (whole - x)) + (x - (whole - (whole - x)))
    one, exponent = math.frexp(whole)
    if one < math.sqrt(0.5):
        one, exponent = 2 * one, exponent - 1
    f = one - 1.0
    s = f / (2.0 + f)
    z = s * s
    w = z * z
    even = w * (0.3999999999940942 + w * (0.22222198432149784 + w * 0.15313837699209373))
    odd = z * (
        0.6666666666666735
        + w * (0.2857142874366239 + w * (0.1818357216161805 + w * 0.14798198605116586))
    )
    half = 0.5 * f * f
    low = s * (half + (even + odd)) + (
        exponent * float.fromhex("0x1.a39ef35793c76p-33") + rest / whole
    )
    return exponent * float.fromhex("0x1.62e42feep-1") - ((half - low) - f)


def as_float32(value: float) -> float:
    """Round to float32 as IEEE 754 does; -0 becomes 0."""
    try:
        rounded: float = struct.unpack("<f", struct.pack("<f", value))[0]
    except OverflowError:
        return math.copysign(math.inf, value)
    return rounded + 0.0
