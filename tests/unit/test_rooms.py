"""The order of the rooms: a package's folders are its floors, and a room is entered by its doors.

A room imports only from the rooms that stand before it, and from another room only its doors.
"""

import ast
import re
from collections.abc import Iterator, Mapping
from functools import cache
from pathlib import Path
from typing import Final

import pytest

ROOT = Path(__file__).parents[2]
PAGE = (ROOT / "ARCHITECTURE.md").read_text("utf-8")

GROUND: Final = "(ground)"  # the modules beside the rooms
LIBRARY: Final[Mapping[str, tuple[str, ...]]] = {  # room -> its doors; from the ground up
    GROUND: ("errors", "limits", "clock"),
    "encoding": ("canonical", "structs", "tensors"),
    "manifest": ("", "continuity"),
    "spec": ("", "comparison", "estimators", "features"),
    "store": ("", "base", "chain", "history", "remedies"),
    "commit": ("committable", "committing", "opening", "prepared", "submission"),
    "kernels": ("arrays", "compiling", "exponential", "logarithm", "memory"),
    "metrics": ("prequential", "record_times", "scoring", "totals"),
    "tables": ("changes", "memory", "row_kernels", "shards", "sorted_rows", "table"),
    "events": ("block", "json_records", "records"),
    "features": ("",),
    "merge": ("",),
    "learners": ("base", "decayed_counts", "loading", "sklearn_learner"),
    "parameters": ("base", "delta"),
    "learning": ("joining", "merger", "rejects", "worker", "worker_delta"),
    "reading": ("model", "reader"),
    "upkeep": ("compactor", "fsck", "retention"),
    "transactions": ("local", "transaction"),
    "verify": ("events", "replay"),
    "cli": ("arguments", "home", "lazy", "lines", "outcome", "output", "signals", "terminal"),
}
FLINK: Final[Mapping[str, tuple[str, ...]]] = {
    GROUND: ("failure", "python_worker"),
    "processes": ("child_environment", "children", "java_home", "ports"),
    "jars": ("", "cache"),
    "operators": ("operators", "without_beam"),
    "cluster": ("flink_configuration", "flink_rest", "lib_folder", "run_folder"),
    "job": (
        "environment",
        "execution",
        "execution_mode",
        "handle",
        "kafka_reason",
        "kafka_settings",
        "options",
        "topology",
    ),
    "launch": ("preflight",),
    "dev": ("broker", "events", "producing", "reading"),
    "verify": (),
    "demo": (),
}
PACKAGES: Final = {
    "strandline": (ROOT / "strandline", LIBRARY),
    "strandline_flink": (ROOT / "connectors" / "strandline_flink", FLINK),
}
SURFACES: Final = ("__init__.py", "cli.py")  # name what is above them, and load it late


def room_of(package: str, module: str) -> tuple[str, str]:
    """Return a module's room and its name in it; "" is the room itself."""
    rooms = PACKAGES[package][1]
    first, _, rest = module.removeprefix(f"{package}.").partition(".")
    return (first, rest) if first in rooms else (GROUND, first)


@cache
def imports(file: Path, package: str) -> tuple[str, ...]:
    """Return the modules of a package that a file imports when it runs."""
    tree = ast.parse(file.read_text("utf-8"))
    for_types_only = {
        id(below)
        for node in ast.walk(tree)
        if isinstance(node, ast.If) and ast.unparse(node.test) == "TYPE_CHECKING"
        for below in ast.walk(node)
    }
    found = []
    for node in ast.walk(tree):
        if id(node) in for_types_only:
            continue
        if isinstance(node, ast.Import):
            found += [alias.name for alias in node.names]
        elif isinstance(node, ast.ImportFrom) and node.module:
            found += [_imported(node.module, alias.name) for alias in node.names]
    return tuple(name for name in found if name.startswith(f"{package}."))


def _imported(module: str, name: str) -> str:
    """Return the module that `from module import name` imports."""
    for root in (ROOT, ROOT / "connectors"):
        path = root.joinpath(*module.split("."), name)
        if path.with_suffix(".py").is_file() or (path / "__init__.py").is_file():
            return f"{module}.{name}"
    return module


def steps(package: str) -> Iterator[tuple[Path, str, str, str]]:
    """Yield file, its room, the room that it imports from, and the module there."""
    root, rooms = PACKAGES[package]
    for file in sorted(root.rglob("*.py")):
        inside = file.relative_to(root).parts
        if len(inside) == 1 and inside[0] in SURFACES:
            continue
        here = inside[0] if inside[0] in rooms else GROUND
        for module in imports(file, package):
            yield file, here, *room_of(package, module)


@pytest.mark.parametrize("package", PACKAGES)
def test_imports_between_rooms_go_down(package: str) -> None:
    order = list(PACKAGES[package][1])
    up = [
        f"{file.relative_to(ROOT)}: {room}.{module}"
        for file, here, room, module in steps(package)
        if order.index(room) > order.index(here)
    ]
    assert not up, f"a room imports from rooms before it: {', '.join(order)}"


@pytest.mark.parametrize("package", PACKAGES)
def test_rooms_are_entered_by_their_doors(package: str) -> None:
    rooms = PACKAGES[package][1]
    windows = [
        f"{file.relative_to(ROOT)}: {room}.{module}"
        for file, here, room, module in steps(package)
        if room != here and module not in rooms[room]
    ]
    assert not windows, "import a door of that room, or make it one"


@pytest.mark.parametrize("package", PACKAGES)
def test_every_folder_is_a_room_and_says_what_for(package: str) -> None:
    root, rooms = PACKAGES[package]
    folders = {file.parent.name for file in root.glob("*/__init__.py")}
    assert folders == set(rooms) - {GROUND}
    for folder in folders:
        assert ast.get_docstring(ast.parse((root / folder / "__init__.py").read_text("utf-8")))


@pytest.mark.parametrize("package", PACKAGES)
def test_the_page_lists_the_rooms_in_their_order(package: str) -> None:
    root, rooms = PACKAGES[package]
    after = PAGE.split(f"\n`{root.relative_to(ROOT)}/`", 1)[1].split("|---|---|---|\n", 1)[1]
    rows = [row.split("|")[1:3] for row in after.split("\n\n")[0].splitlines()]
    named = [re.findall(r"`(.+?)`", room) for room, _ in rows]
    ground = named.pop(0)
    assert sorted(ground) == sorted(
        file.name for file in root.glob("*.py") if file.name != "__init__.py"
    )
    assert named == [[f"{room}/"] for room in rooms if room != GROUND]
