"""Rewrite the tables in README.md and docs/performance.md from bench/results.

A table stands between `<!-- bench:NAME -->` and `<!-- /bench:NAME -->`.
"""

import json
import re
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any, Final

from bench.output import RESULTS

ROOT: Final = Path(__file__).parents[1]
PAGES: Final = (ROOT / "README.md", ROOT / "docs" / "performance.md")
Results = Mapping[str, Sequence[Mapping[str, Any]]]

SECTION: Final = re.compile(r"(<!-- bench:([\w-]+) -->\n).*?(<!-- /bench:\2 -->)", re.DOTALL)


def main() -> None:
    """Rewrite the pages in place."""
    results = load()
    for page in PAGES:
        page.write_text(rewritten(page.read_text(), results))


def load(folder: Path = RESULTS) -> Results:
    """Return the results that benches left with --write, by name; one per processor."""
    found: dict[str, list[Mapping[str, Any]]] = {}
    for file in sorted(folder.glob("*/*.json")):
        found.setdefault(file.stem, []).append(json.loads(file.read_text()))
    return found


def rewritten(page: str, results: Results) -> str:
    """Return a page with the sections of these results; others stay as they are."""

    def section(match: re.Match[str]) -> str:
        begin, name, end = match.groups()
        if name not in results:
            return match[0]
        return begin + "\n".join(rendered(result) for result in results[name]) + end

    return SECTION.sub(section, page)


def rendered(result: Mapping[str, Any]) -> str:
    """Return a section: the command, the machine, the table."""
    machine = result["machine"]
    packages = ", ".join(f"{name} {version}" for name, version in machine["packages"].items())
    return (
        f"`{result['command']}` on {machine['cpu']}, {machine['cores']} cores,"
        f" {machine['memory_gib']} GiB, Linux {machine['kernel']}, Python {machine['python']},"
        f" {packages}; load before {machine['load']}\n\n{result['table']}\n"
    )


if __name__ == "__main__":
    main()
