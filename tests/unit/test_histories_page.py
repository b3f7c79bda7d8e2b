"""The table in docs/histories.md names tests that exist, and says what runs in which tier."""

import ast
import re
from functools import cache
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]
PAGE = ROOT / "docs" / "histories.md"
ROW = re.compile(r"^\| (\d+) \| (.+?) \| (.+) \|$", re.MULTILINE)
NAMED = re.compile(r"`(tests/[^`]+\.py)::((?:test|check)_\w+)`( \(long\))?")
ROWS = ROW.findall(PAGE.read_text("utf-8"))


@cache
def tree(file: str) -> ast.Module:
    return ast.parse((ROOT / file).read_text("utf-8"))


def functions(file: str) -> dict[str, ast.FunctionDef]:
    return {node.name: node for node in tree(file).body if isinstance(node, ast.FunctionDef)}


def is_long(file: str, name: str) -> bool:
    """Whether the test, or all tests of its file, are marked `long`."""
    marks = [
        ast.unparse(node.value)
        for node in tree(file).body
        if isinstance(node, ast.Assign) and ast.unparse(node.targets[0]) == "pytestmark"
    ]
    marks += [ast.unparse(each) for each in functions(file)[name].decorator_list]
    return any("pytest.mark.long" in mark for mark in marks)


def test_every_history_has_a_row() -> None:
    assert sorted({int(number) for number, _, _ in ROWS}) == list(range(1, 16))


@pytest.mark.parametrize(
    ("history", "tests"), [(h, t) for _, h, t in ROWS], ids=[h for _, h, _ in ROWS]
)
def test_every_named_test_exists(history: str, tests: str) -> None:
    named = NAMED.findall(tests)
    assert bool(named) != tests.startswith("none yet: "), history
    assert NAMED.sub("", tests).strip() == "" or not named, "something else than tests"
    for file, name, long in named:
        assert name in functions(file), f"{file} has no {name}"
        assert is_long(file, name) == bool(long), f"{file}::{name}"
