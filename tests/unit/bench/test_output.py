"""What a bench prints and keeps, and how the pages take it up."""

import json
import sys
from pathlib import Path

import pytest

from bench import output, tables
from bench.machine import describe

NAMES = ("cpu", "cores", "kernel", "load", "memory_gib", "packages", "python")


def test_a_machine_is_described() -> None:
    machine = describe()
    assert tuple(machine) == NAMES
    assert machine["cores"] > 0
    assert machine["packages"]["numpy"]
    json.dumps(machine)


def finish(monkeypatch: pytest.MonkeyPatch, folder: Path, *arguments: str) -> None:
    monkeypatch.setattr(sys, "argv", ["bench", *arguments])
    monkeypatch.setattr(output, "RESULTS", folder / "results")
    args = output.parser("Doc.\nMore.").parse_args()
    output.progress("at work")
    output.finish("speed", {"ratio": 2.0}, "| a |", args)


def test_stdout_is_the_table(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str], tmp_path: Path
) -> None:
    finish(monkeypatch, tmp_path)
    assert capsys.readouterr().out == "| a |\n"
    assert not list(tmp_path.iterdir())


def test_json_is_the_last_line(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str], tmp_path: Path
) -> None:
    finish(monkeypatch, tmp_path, "--json")
    said = capsys.readouterr()
    result = json.loads(said.out.splitlines()[-1])
    assert result["ratio"] == 2.0
    assert result["command"] == "make bench-speed"
    assert tuple(result["machine"]) == NAMES
    assert "at work" in said.err


def test_a_brief_run_is_not_kept(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    with pytest.raises(SystemExit):
        finish(monkeypatch, tmp_path, "--brief", "--write")


def test_pages_take_up_what_was_kept(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    finish(monkeypatch, tmp_path, "--write")
    page = (
        "before\n<!-- bench:speed -->\nold\n<!-- /bench:speed -->\nbetween\n"
        "<!-- bench:other -->\nkept\n<!-- /bench:other -->\n"
    )
    results = tables.load(tmp_path / "results")
    new = tables.rewritten(page, results)
    assert "old" not in new
    assert "make bench-speed" in new
    assert "| a |" in new
    assert new.startswith("before\n<!-- bench:speed -->\n")
    assert "between\n<!-- bench:other -->\nkept\n" in new
    assert tables.rewritten(new, results) == new


def test_the_pages_show_the_results() -> None:
    results = tables.load()
    for page in tables.PAGES:
        text = page.read_text()
        assert tables.rewritten(text, results) == text, f"run python -m bench.tables for {page}"
