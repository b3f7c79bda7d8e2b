"""Packages with learners, installed for one test: their metadata on the path, as pip leaves it."""

import tomllib
from pathlib import Path
from typing import Final

import pytest

EXAMPLE: Final = Path(__file__).parents[1] / "examples" / "third_party_learner"


def install(
    monkeypatch: pytest.MonkeyPatch, site: Path, package: str, types: dict[str, str]
) -> None:
    """Install a package whose entry points name the learner types' settings."""
    info = site / f"{package}-1.0.dist-info"
    info.mkdir(parents=True)
    lines = [f"{name} = {target}" for name, target in types.items()]
    (info / "METADATA").write_text(f"Metadata-Version: 2.1\nName: {package}\nVersion: 1.0\n")
    (info / "entry_points.txt").write_text("\n".join(["[strandline.learners]", *lines, ""]))
    monkeypatch.syspath_prepend(str(site))


def install_example(monkeypatch: pytest.MonkeyPatch, site: Path) -> None:
    """Install examples/third_party_learner as its pyproject.toml says."""
    project = tomllib.loads((EXAMPLE / "pyproject.toml").read_text())["project"]
    monkeypatch.syspath_prepend(str(EXAMPLE))
    types = project["entry-points"]["strandline.learners"]
    install(monkeypatch, site, "strandline_ema", types)
