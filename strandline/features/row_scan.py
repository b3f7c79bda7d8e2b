"""One record's JSON text to what it holds at each leaf of a plan, in a kernel.

Between two values of a record stands punctuation with keys: ``,"price":`` or ``},"item":{"id":``.
Records of one stream repeat it, so every such text that was met is kept as a step, with what it
leads to, and each step remembers which one followed it last. A record whose steps come as
remembered costs one comparison of up to 64 bytes per value; at any other place the punctuation is
read byte by byte. What a step is depends on its own bytes and the node before it only, so what is
remembered decides how fast a record is read, never what is read.
"""

from typing import Final

import numpy as np
from numba import njit

from strandline.features import layout
from strandline.features.layout import LEAF_BYTES, MEMBER_BYTES, NODE_BYTES, STEP_BYTES
from strandline.features.leaf_values import NO_LENGTH_YET, read_leaf
from strandline.features.plan import ABSENT, OUTSIDE, TEXTS
from strandline.features.tokens import (
    CLOSE_OBJECT,
    COLON,
    COMMA,
    LETTER_N,
    OPEN_OBJECT,
    QUOTE,
    is_null,
    skip_space,
    string_end,
    value_end,
)
from strandline.kernels.memory import byte_at, differences, xxh64

# What a step leads to: a leaf (from 0 on), or one of these. -3 and below: a known object that is
# null or empty, its node being ``EMPTY - target``.
SKIPPED: Final = -1
END: Final = -2
EMPTY: Final = -3
FAULT: Final = -(1 << 30)
NOWHERE: Final = -2  # no node: such a step is never expected


@njit(nogil=True)
def _depth(node: int, places: int) -> int:
    return layout.node_depth(layout.nodes(places) + NODE_BYTES * node)


@njit(nogil=True)
def _same_bytes(one: int, other: int, length: int) -> bool:
    for place in range(length):
        if byte_at(one + place) != byte_at(other + place):
            return False
    return True


@njit(nogil=True)
def _find_member(at: int, length: int, node: int, places: int) -> int:
    """Return the address of the node's member with this key, 0 if there is none."""
    cell = np.int64(xxh64(at, length, np.uint64(node))) & layout.member_mask(places)
    while True:
        number = layout.read_int32(layout.member_slots(places) + 4 * cell)
        if number < 0:
            return 0
        member = layout.members(places) + MEMBER_BYTES * number
        if layout.member_node(member) == node and layout.member_length(member) == length:
            key = layout.key_bytes(places) + layout.member_first(member)
            if _same_bytes(key, at, length):
                return member
        cell = (cell + 1) & layout.member_mask(places)


@njit(nogil=True)
def _read_punctuation(at: int, end: int, node: int, places: int) -> tuple[int, int, int, int]:
    """Read up to the next value; return where it begins, its target, its node, common depth."""
    after_value = node != OUTSIDE
    common = -1
    at = skip_space(at, end)
    if after_value:
        common = _depth(node, places)
    else:
        if byte_at(at) != OPEN_OBJECT:
            return at, FAULT, node, common
        node, at = 0, at + 1
    while at < end:
        at = skip_space(at, end)
        if byte_at(at) == CLOSE_OBJECT:
            node = layout.node_parent(layout.nodes(places) + NODE_BYTES * node)
            at += 1
            if node == OUTSIDE:
                at = skip_space(at, end)
                return at, END if at == end else FAULT, node, -1
            common = min(common, _depth(node, places))
            after_value = True
            continue
        if after_value:
            if byte_at(at) != COMMA:
                break
            at = skip_space(at + 1, end)
        if byte_at(at) != QUOTE:
            break
        stop = string_end(at + 1, end, False)
        if stop == 0:
            break
        member = _find_member(at + 1, stop - at - 1, node, places)
        at = skip_space(stop + 1, end)
        if byte_at(at) != COLON:
            break
        at = skip_space(at + 1, end)
        if at >= end:
            break
        if member == 0:
            return at, SKIPPED, node, common
        leaf, child = layout.member_leaf(member), layout.member_child(member)
        if leaf >= 0:
            return at, leaf, node, common
        inner = skip_space(at + 1, end)
        if byte_at(at) != OPEN_OBJECT or byte_at(inner) == CLOSE_OBJECT:
            return at, EMPTY - child, node, common
        node, at, after_value = child, inner, False
    return at, FAULT, node, common


@njit(nogil=True)
def _learn_step(
    at: int, length: int, before: int, target: int, after: int, common: int, places: int
) -> int:
    """Return the step with this text, made if it was not met.

    A text that is too long to keep, or whose cells others fill, gets the place of the step that
    will be made next.
    """
    count = layout.read_int64(layout.step_count(places))
    if count == layout.STEPS_MAX - 1:  # begin anew: what is kept stays bounded
        for slot in range(layout.STEP_SLOTS):
            layout.write_int32(layout.step_slots(places) + 4 * slot, 0)
        count = 1
    step = layout.steps(places) + STEP_BYTES * count
    layout.set_step_before(step, NOWHERE)
    if length <= layout.STEP_TEXT_MAX:
        cell = np.int64(xxh64(at, length, np.uint64(before)))
        for _ in range(layout.STEP_CELLS):
            cell &= layout.STEP_SLOTS - 1
            number = layout.read_int32(layout.step_slots(places) + 4 * cell)
            known = layout.steps(places) + STEP_BYTES * number
            if number == 0:
                layout.write_int32(layout.step_slots(places) + 4 * cell, count)
                for place in range(length):
                    layout.write_byte(step + layout.STEP_TEXT + place, byte_at(at + place))
                layout.set_step_before(step, before)
                count += 1
                break
            if (
                layout.step_before(known) == before
                and layout.step_target(known) == target
                and layout.step_length(known) == length
                and _same_bytes(known + layout.STEP_TEXT, at, length)
            ):
                return known
            cell += 1
    layout.write_int64(layout.step_count(places), count)
    every = ~np.uint64(0)
    layout.set_step_after(step, after)
    layout.set_step_common(step, common)
    layout.set_step_opens(step, after != OUTSIDE and _depth(after, places) > common)
    layout.set_step_target(step, target)
    layout.set_step_length(step, length)
    layout.set_step_following(step, 0)
    layout.set_step_mask_low(step, every if length >= 32 else ~(every << np.uint64(length)))
    high = np.uint64(0) if length <= 32 else ~(every << np.uint64(length - 32))
    layout.set_step_mask_high(step, high)
    return step


@njit(nogil=True, forceinline=True)
def _expected(at: int, end: int, node: int, step: int) -> int:
    """Return where the value after a step begins, or the record ends; 0 if it is another step."""
    if layout.step_before(step) != node:
        return 0
    text = step + layout.STEP_TEXT
    if differences(at, text) & layout.step_mask_low(step) != 0:
        return 0
    high = layout.step_mask_high(step)
    if high != 0 and differences(at + 32, text + 32) & high != 0:
        return 0
    at += layout.step_length(step)
    target = layout.step_target(step)
    if target == END:
        return at if at == end else 0
    byte = byte_at(at)
    sound = byte > 0x20 if target >= SKIPPED else byte == LETTER_N
    return at if sound and at < end else 0  # a space belongs to the punctuation


@njit(nogil=True)
def _read_empty(at: int, end: int) -> int:
    """Return the end of null or of an object without members, 0 if it is neither."""
    if byte_at(at) == LETTER_N:
        return at + 4 if is_null(at) else 0
    inner = skip_space(at + 1, end)
    return inner + 1 if byte_at(at) == OPEN_OBJECT and byte_at(inner) == CLOSE_OBJECT else 0


@njit(nogil=True)
def _enter(node: int, common: int, nodes: int) -> bool:
    """Note the nodes that were opened down to this one; whether each is for the first time."""
    fresh = True
    while node != OUTSIDE:
        place = nodes + NODE_BYTES * node
        if layout.node_depth(place) <= common:
            break
        fresh &= layout.node_seen(place) == 0
        layout.set_node_seen(place, 1)
        node = layout.node_parent(place)
    return fresh


@njit(nogil=True, forceinline=True)
def _forget_record(places: int) -> None:
    layout.write_int64(layout.texts_used(places), layout.texts(places))
    for node in range(layout.nodes(places), layout.nodes_end(places), NODE_BYTES):
        layout.set_node_seen(node, 0)
    for leaf in range(layout.leaves(places), layout.leaves_end(places), LEAF_BYTES):
        layout.set_leaf_holds(leaf, ABSENT)
        layout.set_leaf_count(leaf, 0)


@njit(nogil=True)
def forget_lengths(places: int) -> None:
    """Begin a call: no length of strings is usual yet."""
    for leaf in range(layout.leaves(places), layout.leaves_end(places), LEAF_BYTES):
        layout.set_leaf_usual(leaf, NO_LENGTH_YET)


@njit(nogil=True)
def scan_row(at: int, end: int, places: int) -> bool:
    """Read one record into the leaves; whether that could be done exactly."""
    _forget_record(places)
    last, spans = layout.steps(places), layout.spans(places)
    while True:
        step = layout.step_following(last)
        node = layout.step_after(last)
        begin = _expected(at, end, node, step) if step else 0
        if begin == 0:
            begin, target, after, common = _read_punctuation(at, end, node, places)
            if target == FAULT:
                return False
            step = _learn_step(at, begin - at, node, target, after, common, places)
            layout.set_step_following(last, step)
        target, last = layout.step_target(step), step
        if layout.step_opens(step):
            nodes = layout.nodes(places)
            if not _enter(layout.step_after(step), layout.step_common(step), nodes):
                return False
        if target >= 0:
            leaf = layout.leaves(places) + LEAF_BYTES * target
            if layout.leaf_holds(leaf) != ABSENT:
                return False
            at = read_leaf(begin, end, target, spans, places)
            if layout.leaf_holds(leaf) == TEXTS:
                spans += layout.SPAN_BYTES * layout.leaf_count(leaf)
                if _room(step, places) == 0:
                    return False
        elif target == END:
            return True
        elif target == SKIPPED:
            at = value_end(begin, end, _room(step, places), layout.kinds(places))
        else:
            child = layout.nodes(places) + NODE_BYTES * (EMPTY - target)
            if layout.node_seen(child) or _room(step, places) == 0:
                return False
            layout.set_node_seen(child, 1)
            at = _read_empty(begin, end)
        if at == 0 or at >= end:
            return False


@njit(nogil=True, forceinline=True)
def _room(step: int, places: int) -> int:
    """Return how many containers the value after a step may open within each other."""
    return layout.depth(places) - 1 - _depth(layout.step_after(step), places)
