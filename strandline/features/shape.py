"""The typed shape of an event: nested structs generated from the dotted paths of a spec."""

from collections.abc import Iterable
from operator import attrgetter
from typing import Annotated, Any, Final

import msgspec
from msgspec import Meta

_Integer = Annotated[int, Meta(ge=-(2**63), le=2**63 - 1)]
_TYPES: Final[dict[str, Any]] = {
    "label": bool | float | None,
    "weight": float | None,
    "number": float | None,
    "category": str | _Integer | bool | None | list[str | _Integer | bool],
}


class Shape:
    """A struct type for events with the given paths, and the way from events to columns.

    Everything else in an event is skipped. Absent and null are the same: None.

    Parameters
    ----------
    paths : iterable of (path, role)
        Dotted paths; the role ("label", "weight", "number", "category") sets the type.

    Examples
    --------
    >>> shape = Shape([("item.id", "category"), ("price", "number")])
    >>> event = msgspec.json.decode(b'{"item": {"id": "a"}}', type=shape.type)
    >>> shape.columns([event])
    {'price': [None], 'item.id': ['a']}
    """

    def __init__(self, paths: Iterable[tuple[str, str]]) -> None:
        tree: dict[str, Any] = {}
        for path, role in paths:
            *parents, last = path.split(".")
            node = tree
            for key in parents:
                node = node.setdefault(key, {})
            node[last] = role
        self._root = _Node(tree, "")
        self.type = self._root.type

    def columns(self, events: list[Any]) -> dict[str, list[Any]]:
        """Return one list of values per path, a value per event, None where absent."""
        columns: dict[str, list[Any]] = {}
        self._root.collect(events, columns)
        return columns


class _Node:
    """One object of the shape. Its struct's fields have neutral names: keys can be any text."""

    def __init__(self, tree: dict[str, Any], prefix: str) -> None:
        self._leaves: list[tuple[attrgetter[Any], str]] = []
        self._children: list[tuple[attrgetter[Any], _Node]] = []
        fields: list[tuple[str, Any, Any]] = []
        for index, (key, below) in enumerate(tree.items()):
            name, path = f"f{index}", f"{prefix}{key}"
            if isinstance(below, dict):
                child = _Node(below, f"{path}.")
                self._children.append((attrgetter(name), child))
                fields.append((name, child.type | None, child.absent))
            else:
                self._leaves.append((attrgetter(name), path))
                fields.append((name, _TYPES[below], None))
        rename = {f"f{index}": key for index, key in enumerate(tree)}
        self.type: type[msgspec.Struct] = msgspec.defstruct(
            "Event", fields, frozen=True, gc=False, rename=rename
        )
        self.absent: msgspec.Struct = self.type()

    def collect(self, events: list[Any], columns: dict[str, list[Any]]) -> None:
        for getter, path in self._leaves:
            columns[path] = list(map(getter, events))
        for getter, child in self._children:
            absent = child.absent
            inner = [absent if event is None else event for event in map(getter, events)]
            child.collect(inner, columns)
