"""The table of Java classes in ARCHITECTURE.md names each of them, and no other."""

import re
from pathlib import Path

ROOT = Path(__file__).parents[2]
PAGE = (ROOT / "ARCHITECTURE.md").read_text("utf-8")


def test_every_java_class_stands_in_the_table_once() -> None:
    classes = sorted(file.stem for file in (ROOT / "connectors" / "java").rglob("*.java"))
    table = PAGE.split("\n`connectors/java/`", 1)[1].split("|---|---|\n", 1)[1].split("\n\n")[0]
    named = [
        name for row in table.splitlines() for name in re.findall(r"`(.+?)`", row.split("|")[1])
    ]
    assert sorted(named) == classes, "say where it is to be read"
