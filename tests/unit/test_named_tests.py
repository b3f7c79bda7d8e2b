"""The tables of docs/ that name tests name those that exist, and say what runs in which tier."""

import ast
import re
from functools import cache
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]
ROW = re.compile(r"^\| (\d+) \| (.+?) \| (.+) \|$", re.MULTILINE)
FAULT = re.compile(r"^\| ([a-z].+?) \| .+? \| .+? \| (.+) \|$", re.MULTILINE)
NAMED = re.compile(r"`(tests/[^`]+\.py)::((?:test|check)_\w+)`( \(long\))?")
ROWS = ROW.findall((ROOT / "docs" / "histories.md").read_text("utf-8"))
FAULTS = [
    (fault, tests)
    for fault, tests in FAULT.findall((ROOT / "docs" / "guarantees.md").read_text("utf-8"))
    if fault != "fault"
]


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
    marks += [
        mark
        for each in functions(file)[name].decorator_list
        if not (mark := ast.unparse(each)).startswith("pytest.mark.parametrize")  # of some cases
    ]
    return any("pytest.mark.long" in mark for mark in marks)


def test_every_history_has_a_row() -> None:
    assert sorted({int(number) for number, _, _ in ROWS}) == list(range(1, 16))


def test_every_fault_has_a_row() -> None:
    page = (ROOT / "docs" / "guarantees.md").read_text("utf-8")
    table = page.split("## What happens at each fault")[1].split("## What is assumed")[0]
    assert len(FAULTS) == table.count("\n|") - 2 > 30


@pytest.mark.parametrize(("history", "tests"), [*[(h, t) for _, h, t in ROWS], *FAULTS])
def test_every_named_test_exists(history: str, tests: str) -> None:
    named = NAMED.findall(tests)
    assert bool(named) != tests.startswith("none yet: "), history
    assert NAMED.sub("", tests).strip() == "" or not named, "something else than tests"
    for file, name, long in named:
        assert name in functions(file), f"{file} has no {name}"
        assert is_long(file, name) == bool(long), f"{file}::{name}"
