"""The tables of ARCHITECTURE.md name every file of library and connectors, and no other."""

import re
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]
PAGE = (ROOT / "ARCHITECTURE.md").read_text("utf-8")
SECTION = PAGE[PAGE.index("## Where things are") : PAGE.index("## Life of an epoch")]
PYTHON = ("strandline", "connectors/strandline_flink")
JAVA = "connectors/java"


def table(folder: str) -> list[str]:
    """Return the names in the first column of a folder's table, in their order."""
    after = SECTION.split(f"\n`{folder}/`", 1)[1].split("|---|---|\n", 1)[1].split("\n\n")[0]
    return [
        name for row in after.splitlines() for name in re.findall(r"`(.+?)`", row.split("|")[1])
    ]


@pytest.mark.parametrize("folder", PYTHON)
def test_every_module_stands_in_the_table_once(folder: str) -> None:
    root = ROOT / folder
    modules = [file.name for file in root.glob("*.py") if file.name != "__init__.py"]
    packages = [f"{file.parent.name}/" for file in root.glob("*/__init__.py")]
    assert sorted(table(folder)) == sorted([*modules, *packages]), "say where it is to be read"


def test_every_java_class_stands_in_the_table_once() -> None:
    classes = sorted(file.stem for file in (ROOT / JAVA).rglob("*.java"))
    assert sorted(table(JAVA)) == classes, "say where it is to be read"
