"""The names that users build on: a change here is a change of the product."""

import ast
import subprocess
import sys
from pathlib import Path

import strandline

PUBLIC = {
    "Model",
    "Predictions",
    "Reader",
    "Spec",
    "Store",
    "StrandlineError",
    "Stream",
    "Transaction",
    "create_store",
    "learn",
    "open_model",
    "open_store",
    "open_stream",
}


def test_the_public_names_are_these() -> None:
    assert set(strandline.__all__) == PUBLIC


def test_every_public_name_resolves_and_has_a_docstring() -> None:
    for name in strandline.__all__:
        assert getattr(strandline, name).__doc__, name


def test_type_checkers_see_the_same_names() -> None:
    tree = ast.parse(Path(strandline.__file__).read_text("utf-8"))
    (block,) = [node for node in tree.body if isinstance(node, ast.If)]
    seen = {
        alias.name: node.module
        for node in block.body
        if isinstance(node, ast.ImportFrom)
        for alias in node.names
    }
    assert seen == {name: f"strandline.{home}" for name, home in strandline._HOMES.items()}


def test_importing_the_package_loads_no_compiled_kernels() -> None:
    script = "import strandline, sys; sys.exit('numba' in sys.modules)"
    assert subprocess.run([sys.executable, "-c", script], check=False).returncode == 0
