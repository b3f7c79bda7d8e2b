"""What `tools/setup.py` says before it downloads anything."""

import ast
import importlib.util
import platform
import shutil
import sys
from collections import namedtuple
from pathlib import Path
from types import ModuleType

import pytest

from strandline_flink.jars.cache import cache_dir as jars_cache_dir

TOOL = Path(__file__).parents[2] / "tools" / "setup.py"


@pytest.fixture
def tool() -> ModuleType:
    spec = importlib.util.spec_from_file_location("setup_tool", TOOL)
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


def problems(tool: ModuleType) -> str:
    return "\n".join(tool.find_problems())


def test_this_machine_is_fit(tool: ModuleType) -> None:
    assert problems(tool) == ""


def test_an_old_python_can_read_the_tool_that_refuses_it() -> None:
    ast.parse(TOOL.read_text(), feature_version=(3, 8))


@pytest.mark.parametrize("version", [(3, 8, 18), (3, 10, 13), (3, 13, 0)])
def test_another_python_is_refused(
    tool: ModuleType, monkeypatch: pytest.MonkeyPatch, version: tuple[int, ...]
) -> None:
    monkeypatch.setattr(sys, "version_info", version)
    monkeypatch.setattr(platform, "python_version", lambda: ".".join(map(str, version)))
    said = problems(tool)
    assert f"Python is {'.'.join(map(str, version))}" in said
    assert "expected 3.11 or 3.12" in said
    assert "PYTHON=python3.12" in said


def test_another_machine_is_refused(tool: ModuleType, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(platform, "machine", lambda: "aarch64")
    assert "this machine is Linux aarch64, expected Linux x86_64" in problems(tool)


def test_another_c_library_is_refused(tool: ModuleType, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(platform, "libc_ver", lambda: ("", ""))
    assert "not glibc" in problems(tool)


def test_a_python_without_ensurepip_is_refused(
    tool: ModuleType, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(importlib.util, "find_spec", lambda name: None if "ensure" in name else 1)
    version = "{}.{}".format(*sys.version_info[:2])
    assert f"apt-get install python{version}-venv" in problems(tool)


def test_a_full_disk_is_refused(
    tool: ModuleType, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    usage = namedtuple("usage", "free")
    monkeypatch.setattr(shutil, "disk_usage", lambda _folder: usage(1_234_567_890))
    monkeypatch.setenv("STRANDLINE_CACHE", str(tmp_path / "cache"))
    said = problems(tool)
    assert f"{tmp_path} has 1.2 GB free, expected 3 GB" in said
    assert "set STRANDLINE_CACHE to a folder elsewhere" in said


def test_all_problems_are_told_at_once(tool: ModuleType, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(sys, "version_info", (3, 9, 1))
    monkeypatch.setattr(platform, "machine", lambda: "riscv64")
    assert len(list(tool.find_problems())) == 2


def test_the_cache_is_where_the_jars_go(
    tool: ModuleType, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    monkeypatch.setenv("HOME", str(tmp_path))
    for name in (None, "XDG_CACHE_HOME", "STRANDLINE_CACHE"):
        if name:
            monkeypatch.setenv(name, str(tmp_path / name))
        else:
            monkeypatch.delenv("XDG_CACHE_HOME", raising=False)
            monkeypatch.delenv("STRANDLINE_CACHE", raising=False)
        assert tool.cache_dir() == jars_cache_dir()


def test_the_stamp_changes_with_the_lock(
    tool: ModuleType, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    for name in ("tools", "run", "dev"):
        (tmp_path / f"{name}.txt").write_text(name)
    monkeypatch.setattr(tool, "REQUIREMENTS", tmp_path)
    before = tool.stamp("run")
    assert tool.stamp("run") == before
    assert tool.stamp("dev") != before
    (tmp_path / "run.txt").write_text("another package")
    assert tool.stamp("run") != before
