"""What is inside the wheel, and that it works away from the checkout."""

import os
import subprocess
import sys
import zipfile
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]


@pytest.fixture(scope="module")
def wheel(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("wheel")
    build = [sys.executable, "-m", "hatchling", "build", "--target", "wheel", "--directory"]
    subprocess.run([*build, str(folder)], cwd=ROOT, check=True, capture_output=True)
    (built,) = folder.glob("*.whl")
    return built


def test_the_wheel_adds_two_names_and_no_other(wheel: Path) -> None:
    with zipfile.ZipFile(wheel) as archive:
        top = {file.split("/")[0] for file in archive.namelist()}
    assert top == {"strandline", "strandline_flink", "strandline-0.1.0.dist-info"}


def test_the_wheel_holds_the_java_sources_the_job_and_the_lock(wheel: Path) -> None:
    with zipfile.ZipFile(wheel) as archive:
        files = set(archive.namelist())
    java = ROOT / "connectors" / "java"
    sources = {f"strandline_flink/java/{file.relative_to(java)}" for file in java.rglob("*.java")}
    assert sources
    assert sources <= files
    others = {"strandline_flink/jobs/train.py", "strandline_flink/jars/jars.lock"}
    assert others | {"strandline/py.typed", "strandline-0.1.0.dist-info/licenses/LICENSE"} <= files


def test_an_installed_wheel_compiles_its_own_java_sources(wheel: Path, tmp_path: Path) -> None:
    site = tmp_path / "site"
    with zipfile.ZipFile(wheel) as archive:
        archive.extractall(site)
    script = (
        "from strandline_flink.jars import compiled, compiling;"
        "print(compiling.source_root()); print(compiled())"
    )
    env = {**os.environ, "PYTHONPATH": str(site)}
    command = [sys.executable, "-c", script]
    printed = subprocess.check_output(command, env=env, cwd=tmp_path, text=True)
    sources, jar = map(Path, printed.split())
    assert sources == site / "strandline_flink" / "java"
    with zipfile.ZipFile(jar) as archive:
        assert any(file.endswith(".class") for file in archive.namelist())
