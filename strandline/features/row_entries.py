"""What one record holds at its leaves, to its entries, label and weight, in a kernel."""

import math
from typing import Final

import numpy as np
from numba import njit

from strandline.features import layout
from strandline.features.batch import BIAS_FIELD
from strandline.features.hashing import BIAS_KEY
from strandline.features.layout import FEATURE_BYTES, LEAF_BYTES
from strandline.features.plan import CROSS, LOG1P, SQRT, TEXT, TEXTS, VALUE
from strandline.kernels.memory import xxh64, xxh64_inline
from strandline.limits import NUMBER_MAX

REFUSED: Final = -1
NO_ROOM: Final = -2
_BIAS_KEY: Final = np.uint64(BIAS_KEY)


@njit(nogil=True, forceinline=True)
def _transformed(feature: int, places: int) -> np.float32:
    """Return a number's value as `strandline.features.columns.number_values` does."""
    transform = layout.feature_transform(feature)
    found = layout.logs(places) if transform == LOG1P else layout.values(places)
    value = layout.read_float64(found + 8 * layout.feature_leaf(feature))
    if transform == SQRT:
        value = math.copysign(math.sqrt(abs(value)), value)
    value = (value - layout.feature_offset(feature)) * layout.feature_scale(feature)
    value = min(max(value, layout.feature_low(feature)), layout.feature_high(feature))
    return np.float32(value) + np.float32(0)


@njit(nogil=True)
def _part(feature: int, place: int, places: int) -> int:
    """Return the address of a cross's part."""
    number = layout.read_int32(layout.parts(places) + 4 * (layout.feature_first(feature) + place))
    return layout.features(places) + FEATURE_BYTES * number


@njit(nogil=True, forceinline=True)
def _leaf_of(feature: int, places: int) -> int:
    return layout.leaves(places) + LEAF_BYTES * layout.feature_leaf(feature)


@njit(nogil=True)
def _count_combinations(feature: int, places: int) -> int:
    """Return the number of a cross's entries, at most one over the limit."""
    count = 1
    for place in range(layout.feature_count(feature)):
        part = _leaf_of(_part(feature, place, places), places)
        count = min(count * layout.leaf_count(part), layout.entries(places) + 1)
    return count


@njit(nogil=True)
def _write_keys(keys: int, leaf: int, seed: np.uint64) -> None:
    """Write the keys of several texts."""
    span = layout.leaf_first(leaf)
    for place in range(layout.leaf_count(leaf)):
        key = xxh64(layout.span_first(span), layout.span_length(span), seed)
        layout.write_key(keys + 8 * place, key)
        span += layout.SPAN_BYTES


@njit(nogil=True)
def _keep_parts(places: int) -> int:
    """Hash the categories that crosses are made of; return REFUSED if they are too many."""
    kept = layout.keys(places)
    stop = kept + 8 * layout.entries(places)
    for feature in range(layout.features(places), layout.features_end(places), FEATURE_BYTES):
        if layout.feature_is_part(feature):
            leaf = _leaf_of(feature, places)
            if kept + 8 * layout.leaf_count(leaf) > stop:
                return REFUSED
            layout.set_feature_first(feature, kept)
            if layout.leaf_holds(leaf) == TEXT:
                seed = layout.feature_seed(feature)
                layout.write_key(
                    kept, xxh64(layout.leaf_first(leaf), layout.leaf_length(leaf), seed)
                )
            else:
                _write_keys(kept, leaf, layout.feature_seed(feature))
            kept += 8 * layout.leaf_count(leaf)
    return 0


@njit(nogil=True)
def _write_cross(keys: int, feature: int, places: int) -> None:
    """Write the keys of all combinations, the first part varying slowest."""
    size = layout.feature_count(feature)
    seed = layout.feature_seed(feature)
    for place in range(size):
        layout.write_int64(layout.chosen(places) + 8 * place, 0)
    place = 0
    while place >= 0:
        for place in range(size):
            chosen = layout.read_int64(layout.chosen(places) + 8 * place)
            first = layout.feature_first(_part(feature, place, places))
            layout.write_key(layout.joined(places) + 8 * place, layout.read_key(first + 8 * chosen))
        layout.write_key(keys, xxh64(layout.joined(places), 8 * size, seed))
        keys += 8
        place = size - 1
        while place >= 0:
            chosen = layout.read_int64(layout.chosen(places) + 8 * place) + 1
            if chosen < layout.leaf_count(_leaf_of(_part(feature, place, places), places)):
                layout.write_int64(layout.chosen(places) + 8 * place, chosen)
                break
            layout.write_int64(layout.chosen(places) + 8 * place, 0)
            place -= 1


@njit(nogil=True, forceinline=True)
def _write_outcome(row: int, places: int, columns: int) -> float:
    """Write label and weight; return the weight, 0 where the spec does not admit them."""
    label = np.float32(0)
    weight = np.float32(1)
    if layout.label(places) >= 0:
        leaf = layout.leaves(places) + LEAF_BYTES * layout.label(places)
        value = layout.read_float64(layout.values(places) + 8 * layout.label(places))
        label = np.float32(value)
        if layout.leaf_holds(leaf) != VALUE or not abs(label) <= NUMBER_MAX:
            return 0.0
        if layout.binary(places) and value != 0.0 and value != 1.0:
            return 0.0
    if layout.weight(places) >= 0:
        leaf = layout.leaves(places) + LEAF_BYTES * layout.weight(places)
        place = layout.values(places) + 8 * layout.weight(places)
        weight = np.float32(layout.read_float64(place))
        if layout.leaf_holds(leaf) != VALUE or not 0 < weight <= NUMBER_MAX:
            return 0.0
    layout.write_float32(layout.batch_labels(columns) + 4 * row, label)
    layout.write_float32(layout.batch_weights(columns) + 4 * row, weight)
    return float(weight)


@njit(nogil=True)
def _write_several(at: int, stop: int, field: int, feature: int, places: int, columns: int) -> int:
    """Write a cross, or a category of several texts; return the end of its entries or REFUSED."""
    is_cross = layout.feature_kind(feature) == CROSS
    leaf = _leaf_of(feature, places)
    count = _count_combinations(feature, places) if is_cross else layout.leaf_count(leaf)
    if count > stop - at:
        return REFUSED
    keys = layout.batch_keys(columns) + 8 * at
    if not is_cross:
        _write_keys(keys, leaf, layout.feature_seed(feature))
    elif count > 0:
        _write_cross(keys, feature, places)
    for entry in range(at, at + count):
        layout.write_field(layout.batch_fields(columns) + 2 * entry, field)
        layout.write_float32(layout.batch_values(columns) + 4 * entry, np.float32(1))
    return at + count


@njit(nogil=True)
def write_row(row: int, at: int, places: int, columns: int) -> int:
    """Write a record's entries from `at` on; return their end, REFUSED or NO_ROOM."""
    stop = at + layout.entries(places)
    if stop >= layout.batch_room(columns):
        return NO_ROOM
    weight = _write_outcome(row, places, columns)
    if weight == 0.0:
        return REFUSED
    scale = max(weight, 1.0)
    if layout.crosses(places) and _keep_parts(places) == REFUSED:
        return REFUSED
    keys, fields = layout.batch_keys(columns), layout.batch_fields(columns)
    values = layout.batch_values(columns)
    field = 0
    for feature in range(layout.features(places), layout.features_end(places), FEATURE_BYTES):
        leaf = _leaf_of(feature, places)
        holds = layout.leaf_holds(leaf) if layout.feature_kind(feature) != CROSS else TEXTS
        before = at
        if holds == TEXT or holds == VALUE:
            if at == stop:
                return REFUSED
            key, value = layout.feature_seed(feature), np.float32(1)
            if holds == TEXT:
                key = xxh64_inline(layout.leaf_first(leaf), layout.leaf_length(leaf), key)
            else:
                value = _transformed(feature, places)
                if not abs(np.float64(value)) * scale <= NUMBER_MAX:
                    return REFUSED
            layout.write_key(keys + 8 * at, key)
            layout.write_field(fields + 2 * at, field)
            layout.write_float32(values + 4 * at, value)
            at += 1
        elif holds == TEXTS:
            at = _write_several(at, stop, field, feature, places, columns)
            if at == REFUSED:
                return REFUSED
        if at == before and layout.feature_required(feature):
            return REFUSED
        field += 1
    layout.write_key(keys + 8 * at, _BIAS_KEY)
    layout.write_field(fields + 2 * at, BIAS_FIELD)
    layout.write_float32(values + 4 * at, np.float32(1))
    return at + 1
