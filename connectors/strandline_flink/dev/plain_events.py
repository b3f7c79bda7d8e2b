"""A second opinion on events: the json module and plain Python, no code of `strandline.features`.

It says of an event only whether it is sound under a spec, and which values it holds. One
difference to the decoder is known: of a key that an object repeats it sees the last value only,
where the decoder also rejects for a shadowed one.
"""

import json
import math
import struct
from collections.abc import Mapping
from typing import Any

from strandline.limits import NUMBER_MAX
from strandline.spec import Category, Cross, Number, Spec

_DIGITS_MAX = 400  # beyond float64, and within what int() reads


class _MalformedError(ValueError):
    """The event is not sound."""


def read_event(record: bytes | None, spec: Spec) -> dict[str, Any] | None:
    """Return the values of a sound event by dotted path; None for a malformed one.

    Categories are lists of texts (empty when absent), numbers, label and weight are floats, or
    None where absent.
    """
    try:
        event = _parse(record, spec)
        values = {path: _value(event, path, role) for _, path, role in spec.paths()}
        weight = _check_outcome(values, spec)
        _check_features(values, spec, weight)
    except (ValueError, OverflowError, RecursionError):
        return None
    return values


def _parse(record: bytes | None, spec: Spec) -> Any:
    if not record or len(record) > spec.limits.event_bytes:
        raise _MalformedError("size")
    event = json.loads(record.decode("utf-8"), parse_int=_integer, parse_constant=_refuse)
    if b"\\u" in record:
        json.dumps(event, ensure_ascii=False).encode("utf-8")  # a lone surrogate cannot
    if record.count(b"[") + record.count(b"{") > spec.limits.depth:
        _check_depth(event, spec.limits.depth)
    return event


def _integer(digits: str) -> int | float:
    return int(digits) if len(digits) < _DIGITS_MAX else float(digits)


def _refuse(constant: str) -> float:
    raise _MalformedError(constant)


def _check_depth(value: Any, left: int) -> None:
    if not isinstance(value, dict | list):
        return
    if left == 0:
        raise _MalformedError("depth")
    for inner in value.values() if isinstance(value, dict) else value:
        _check_depth(inner, left - 1)


def _value(event: Any, path: str, role: str) -> Any:
    value = event
    if not isinstance(event, dict):
        raise _MalformedError("not an object")
    for key in path.split("."):
        if value is None:
            break
        if not isinstance(value, dict):
            raise _MalformedError(path)
        value = value.get(key)
    if role == "category":
        values = value if isinstance(value, list) else [] if value is None else [value]
        return [_text(inner) for inner in values]
    if value is None:
        return None
    if isinstance(value, bool) and role != "label":
        raise _MalformedError(path)
    if not isinstance(value, int | float) or not math.isfinite(float(value)):
        raise _MalformedError(path)
    return float(value)


def _text(value: Any) -> str:
    if isinstance(value, bool):
        return "true" if value else "false"
    if isinstance(value, int) and -(2**63) <= value < 2**63:
        return str(value)
    if isinstance(value, str):
        return value
    raise _MalformedError("category")


def _float32(value: float) -> float:
    """Round to float32. Raises OverflowError outside of it."""
    if math.isinf(value):
        raise OverflowError
    rounded: float = struct.unpack("<f", struct.pack("<f", value))[0]
    return rounded


def _check_outcome(values: Mapping[str, Any], spec: Spec) -> float:
    """Check label and weight; return the weight."""
    label = values[spec.label.path]
    if label is None or (spec.binary and label not in (0, 1)):
        raise _MalformedError("label")
    if abs(_float32(label)) > NUMBER_MAX:
        raise _MalformedError("label")
    if spec.weight is None:
        return 1.0
    weight = values[spec.weight.path]
    if weight is None or not 0 < _float32(weight) <= NUMBER_MAX:
        raise _MalformedError("weight")
    return _float32(weight)


def _check_features(values: Mapping[str, Any], spec: Spec, weight: float) -> None:
    counts: dict[str, int] = {}
    for name, feature in spec.features.items():
        match feature:
            case Number():
                counts[name] = int(values[feature.path] is not None)
                if counts[name]:
                    value = _float32(_transformed(values[feature.path], feature))
                    if abs(value) * max(weight, 1.0) > NUMBER_MAX:
                        raise _MalformedError(name)
            case Category():
                counts[name] = len(values[feature.path])
            case Cross():
                continue
        if feature.required and not counts[name]:
            raise _MalformedError(name)
    entries = sum(counts.values())
    for feature in spec.features.values():
        if isinstance(feature, Cross):
            entries += math.prod(counts[part] for part in feature.of)
    if entries > spec.limits.entries:
        raise _MalformedError("entries")


def _transformed(value: float, number: Number) -> float:
    if number.transform == "log1p":
        value = math.copysign(math.log1p(abs(value)), value)
    elif number.transform == "sqrt":
        value = math.copysign(math.sqrt(abs(value)), value)
    value = (value - number.offset) * number.scale
    return value if number.clip is None else min(max(value, number.clip[0]), number.clip[1])
