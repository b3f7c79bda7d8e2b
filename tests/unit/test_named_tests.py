"""The tables of docs/ that name tests name those that exist, and say what runs in which tier."""

import ast
import re
from functools import cache
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]
ROW = re.compile(r"^\| (\d+) \| (.+?) \| (.+) \|$", re.MULTILINE)
FAULT = re.compile(r"^\| ([a-z].+?) \| .+? \| .+? \| (.+) \|$", re.MULTILINE)
NAMED = re.compile(r"`(tests/[^`]+\.py)::((?:test|check)_\w+)`(?: \((long|rare)\))?")
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


def tier(file: str, name: str) -> str:
    """The tier that runs the test: "" for the quick one, long, or rare."""
    marks = [
        ast.unparse(node.value)
        for node in tree(file).body
        if isinstance(node, ast.Assign) and ast.unparse(node.targets[0]) == "pytestmark"
    ]
    for each in functions(file)[name].decorator_list:
        mark = ast.unparse(each)
        if not mark.startswith("pytest.mark.parametrize"):
            marks.append(mark)
        elif isinstance(each, ast.Call) and all("marks=" in text for text in cases(each)):
            marks += cases(each)
    return next((t for t in ("long", "rare") if any(f"pytest.mark.{t}" in m for m in marks)), "")


def cases(parametrize: ast.Call) -> list[str]:
    listed = parametrize.args[1]
    return [ast.unparse(each) for each in listed.elts] if isinstance(listed, ast.List) else [""]


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
    for file, name, said in named:
        assert name in functions(file), f"{file} has no {name}"
        assert tier(file, name) == said, f"{file}::{name}"
