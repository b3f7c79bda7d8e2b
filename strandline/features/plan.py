"""A spec's paths and features as arrays, which the scanning kernel follows by address."""

from collections.abc import Iterable
from dataclasses import dataclass
from operator import itemgetter
from typing import Any, Final

import numpy as np
from numpy.typing import NDArray
from xxhash import xxh64_intdigest

from strandline.features.hashing import field_seed
from strandline.kernels.memory import PADDING
from strandline.spec import Category, Cross, Number, Spec

NUMBER, CATEGORY, LABEL, WEIGHT, CROSS = range(5)
"""Roles of leaves, kinds of features."""

ABSENT, NULL, VALUE, TEXT, TEXTS = range(5)
"""What a record holds at a leaf: nothing, null, a number, one text, several texts."""

NONE, LOG1P, SQRT = range(3)
_TRANSFORMS: Final = {"none": NONE, "log1p": LOG1P, "sqrt": SQRT}

OUTSIDE: Final = -1
"""The node before a record's object and after it."""

NODE: Final = np.dtype([("parent", np.int32), ("depth", np.int32), ("seen", np.int64)])
LEAF: Final = np.dtype(
    [
        ("holds", np.int32),
        ("count", np.int32),  # of texts
        ("first", np.int64),  # address of a text, or of the first span of several
        ("length", np.int64),  # of a text
        ("role", np.int32),
        ("usual", np.int32),  # length that all its strings in this call have had, if there is one
    ]
)
SPAN: Final = np.dtype([("first", np.int64), ("length", np.int64)])
MEMBER: Final = np.dtype(
    [
        ("node", np.int32),  # whose member it is
        ("leaf", np.int32),  # -1 if it is a node
        ("child", np.int32),  # -1 if it is a leaf
        ("length", np.int32),  # of the key
        ("first", np.int64),  # of the key's bytes
    ]
)
FEATURE: Final = np.dtype(
    [
        ("kind", np.int32),
        ("transform", np.int32),
        ("required", np.int32),
        ("is_part", np.int32),  # of a cross
        ("leaf", np.int32),
        ("count", np.int32),  # a cross: of its parts
        ("first", np.int64),  # a cross: its first part in `parts`; a part: its first key
        ("seed", np.uint64),
        ("offset", np.float64),
        ("scale", np.float64),
        ("low", np.float64),
        ("high", np.float64),
    ]
)


@dataclass(frozen=True, slots=True)
class Plan:
    """What the kernel reads and, in `nodes`, `leaves` and `features`, writes for each record.

    `member_slots` is an open-addressing index of `members` by the XXH64 of the key, with the node
    as the seed; a free cell is -1. `label` and `weight` are leaves, -1 if there is none. Leaves of
    numbers come first; log1p is taken of those before `logs`.
    """

    event_bytes: int
    depth: int
    entries: int
    binary: bool
    label: int
    weight: int
    nodes: NDArray[np.void]
    leaves: NDArray[np.void]
    members: NDArray[np.void]
    member_slots: NDArray[np.int32]
    key_bytes: NDArray[np.uint8]
    features: NDArray[np.void]
    parts: NDArray[np.int32]
    logs: int


def make_plan(spec: Spec, *, labelled: bool) -> Plan:
    """Return the plan of a spec, with or without its label and weight."""
    roles = {"number": NUMBER, "category": CATEGORY}
    if labelled:
        roles |= {"label": LABEL, "weight": WEIGHT}
    paths = {path: roles[role] for _, path, role in spec.paths() if role in roles}
    paths = dict(sorted(paths.items(), key=itemgetter(1)))
    leaves = np.zeros(len(paths), LEAF)
    leaves["role"] = list(paths.values())
    number = {path: index for index, path in enumerate(paths)}
    nodes, members, key_bytes = _tree(paths)
    features, parts = _features(spec, number)
    logged = features["leaf"][features["transform"] == LOG1P]
    return Plan(
        event_bytes=spec.limits.event_bytes,
        depth=spec.limits.depth,
        entries=spec.limits.entries,
        binary=spec.binary,
        label=number[spec.label.path] if labelled else -1,
        weight=number[spec.weight.path] if labelled and spec.weight is not None else -1,
        nodes=nodes,
        leaves=leaves,
        members=members,
        member_slots=_index(members, key_bytes),
        key_bytes=np.frombuffer(key_bytes + bytes(PADDING), np.uint8),
        features=features,
        parts=parts,
        logs=int(logged.max(initial=-1)) + 1,
    )


def _tree(paths: Iterable[str]) -> tuple[NDArray[np.void], NDArray[np.void], bytes]:
    """Return nodes, members and the members' keys, one after the other."""
    nodes: list[tuple[int, int, int]] = [(OUTSIDE, 0, 0)]
    members: list[tuple[int, int, int, int, int]] = []
    keys = bytearray()
    known: dict[tuple[str, ...], int] = {(): 0}
    for leaf, path in enumerate(paths):
        segments = tuple(path.split("."))
        for length in range(1, len(segments) + 1):
            here = segments[:length]
            if here in known:
                continue
            node, key = known[here[:-1]], here[-1].encode()
            is_leaf = length == len(segments)
            child = -1 if is_leaf else len(nodes)
            members.append((node, leaf if is_leaf else -1, child, len(key), len(keys)))
            keys += key
            if not is_leaf:
                known[here] = child
                nodes.append((node, length, 0))
    return np.array(nodes, NODE), np.array(members, MEMBER), bytes(keys)


def _index(members: NDArray[np.void], keys: bytes) -> NDArray[np.int32]:
    slots = np.full(1 << (4 * len(members)).bit_length(), -1, np.int32)
    for number, (node, _, _, length, first) in enumerate(members.tolist()):
        cell = xxh64_intdigest(keys[first : first + length], node) % len(slots)
        while slots[cell] >= 0:
            cell = (cell + 1) % len(slots)
        slots[cell] = number
    return slots


def _features(spec: Spec, number: dict[str, int]) -> tuple[NDArray[np.void], NDArray[np.int32]]:
    features = np.zeros(len(spec.features), FEATURE)
    index = {name: at for at, name in enumerate(spec.features)}
    parts: list[int] = []
    for name, feature in spec.features.items():
        row: Any = features[index[name]]
        row["seed"], row["leaf"] = field_seed(name), -1
        row["low"], row["high"] = -np.inf, np.inf
        match feature:
            case Number():
                row["kind"], row["leaf"] = NUMBER, number[feature.path]
                row["required"] = feature.required
                row["transform"] = _TRANSFORMS[feature.transform]
                row["offset"], row["scale"] = feature.offset, feature.scale
                if feature.clip is not None:
                    row["low"], row["high"] = feature.clip
            case Category():
                row["kind"], row["leaf"] = CATEGORY, number[feature.path]
                row["required"] = feature.required
            case Cross():
                row["kind"] = CROSS
                row["first"], row["count"] = len(parts), len(feature.of)
                parts += [index[part] for part in feature.of]
    features["is_part"][parts] = True
    return features, np.array(parts, np.int32)
