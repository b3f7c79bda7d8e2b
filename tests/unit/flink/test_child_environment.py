"""What a child process finds in its environment, variable by variable, in real children."""

import os
import subprocess
import sys
from pathlib import Path

import pytest

from strandline_flink.cluster.run_folder import RunFolder, temporary_folder
from strandline_flink.processes.child_environment import child_environment
from strandline_flink.processes.java_home import java

ANOTHER = "/usr/lib/another"
NAMING_OTHERS = {
    "CLASSPATH": ANOTHER,
    "FLINK_CONF_DIR": ANOTHER,
    "FLINK_ENV_JAVA_OPTS": "-Xmx1m",
    "FLINK_HOME": ANOTHER,
    "HADOOP_CLASSPATH": ANOTHER,
    "JAVA_OPTS": "-Xmx1m",
    "JAVA_TOOL_OPTIONS": "-Xmx1m",
    "JDK_HOME": ANOTHER,
    "JDK_JAVA_OPTIONS": "-Xmx1m",
    "JVM_ARGS": "-Xmx1m",
    "PYFLINK_GATEWAY_PORT": "1",
    "PYTHONEXECUTABLE": ANOTHER,
    "PYTHONHOME": ANOTHER,
    "PYTHONIOENCODING": "latin-1",
    "PYTHONOPTIMIZE": "2",
    "PYTHONSTARTUP": ANOTHER,
    "SUBMIT_ARGS": "remote",
    "_JAVA_OPTIONS": "-Xmx1m",
    "__PYVENV_LAUNCHER__": ANOTHER,
}


def asked(environment: dict[str, str], program: str) -> str:
    """What the first `python3` on the child's PATH prints for a program."""
    command = ["/usr/bin/env", "python3", "-c", program]
    return subprocess.check_output(command, env=environment, text=True, encoding="utf-8").strip()


@pytest.mark.parametrize("name", NAMING_OTHERS)
def test_a_variable_that_names_another_installation_does_not_reach_a_child(
    name: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv(name, NAMING_OTHERS[name])
    assert child_environment(tmp_path).get(name) != NAMING_OTHERS[name]


def test_variables_of_the_user_reach_a_child(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    kept = {"KRB5CCNAME": "x", "NUMBA_CACHE_DIR": "/y", "PYTHONHASHSEED": "7", "https_proxy": "z"}
    for name, value in kept.items():
        monkeypatch.setenv(name, value)
    assert child_environment(tmp_path).items() >= kept.items()


def test_python3_of_a_child_is_this_one_where_another_comes_first_on_the_path(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    other = tmp_path / "other" / "python3"
    other.parent.mkdir()
    other.write_text("#!/bin/sh\necho another\n")
    other.chmod(0o755)
    monkeypatch.setenv("PATH", f"{other.parent}::bin")
    environment = child_environment(tmp_path)
    assert asked(environment, "import sys; print(sys.base_prefix)") == sys.base_prefix
    assert asked(environment, "import strandline_flink, numpy, select; print(1)") == "1"
    assert environment["PATH"].split(":") == [str(tmp_path / "bin"), str(other.parent)]


def test_a_child_finds_programs_without_a_path(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.delenv("PATH")
    assert "/usr/bin" in child_environment(tmp_path)["PATH"].split(":")


@pytest.mark.parametrize("home", [None, "", "/", "~", "not/absolute", "/no/such/home"])
def test_a_child_has_a_home_where_this_process_has_none(
    home: str | None, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    if home is None:
        monkeypatch.delenv("HOME")
    else:
        monkeypatch.setenv("HOME", home)
    environment = child_environment(tmp_path)
    assert environment["HOME"] == str(tmp_path / "home")
    assert (tmp_path / "home").is_dir()


def test_a_home_that_can_be_written_stays(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("HOME", str(tmp_path))
    assert child_environment(tmp_path / "tmp")["HOME"] == str(tmp_path)


def test_a_user_without_a_name_gets_one(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(os, "getuid", lambda: 54_321)
    for name in ("USER", "LOGNAME"):
        monkeypatch.delenv(name, raising=False)
    environment = child_environment(tmp_path)
    assert asked(environment, "import getpass; print(getpass.getuser())") == "uid-54321"
    assert environment["FLINK_IDENT_STRING"] == "uid-54321"


@pytest.mark.parametrize("locale", ["C", "POSIX", "de_DE.ISO-8859-1", "no_SUCH"])
def test_children_read_and_write_utf_8_in_any_locale(
    locale: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    for name in ("LANG", "LC_ALL", "LC_CTYPE"):
        monkeypatch.setenv(name, locale)
    environment = child_environment(tmp_path)
    program = "import os, sys; print(sys.getfilesystemencoding(), os.fsencode('\\u00e9'))"
    assert asked(environment, program) == r"utf-8 b'\xc3\xa9'"
    assert not {"LC_CTYPE", "LANGUAGE"} & environment.keys()


@pytest.mark.parametrize("folder", ["plain", "with a blank", "h\u00e9"])
def test_java_has_the_folders_of_its_environment_and_opens_names_in_utf_8(
    folder: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.delenv("HOME")
    monkeypatch.setenv("LC_ALL", "POSIX")
    temporary = tmp_path / folder
    environment = child_environment(temporary)
    names = ("java.io.tmpdir", "user.home", "sun.jnu.encoding")
    command = [str(java()), "-XshowSettings:properties", "-version"]
    said = subprocess.run(command, env=environment, capture_output=True, check=True).stderr.decode()
    found = dict(line.strip().partition(" = ")[::2] for line in said.splitlines())
    wanted = [str(temporary), str(temporary / "home"), "UTF-8"]
    assert [found[name] for name in names] == wanted


@pytest.mark.parametrize(
    ("before", "after"),
    [
        (None, "localhost,127.0.0.1,::1"),
        ("corp.example, localhost", "corp.example,localhost,127.0.0.1,::1"),
    ],
)
def test_children_reach_this_machine_past_a_proxy(
    before: str | None, after: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.delenv("NO_PROXY", raising=False)
    monkeypatch.delenv("no_proxy", raising=False)
    if before is not None:
        monkeypatch.setenv("no_proxy", before)
    environment = child_environment(tmp_path)
    assert (environment["no_proxy"], environment["NO_PROXY"]) == (after, after)


def test_temporary_files_of_a_run_are_in_its_folder(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("tempfile.tempdir", str(tmp_path))
    folder = RunFolder.make()
    program = "import tempfile; print(tempfile.gettempdir())"
    assert asked(folder.environment(), program) == str(folder.path / "tmp")
    folder.remove()


def test_a_run_goes_elsewhere_where_the_temporary_folder_forbids_programs(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A mount as seen by statvfs; `test_strange_machines` mounts one."""
    noexec, cache = tmp_path / "noexec", tmp_path / "cache"
    noexec.mkdir()
    monkeypatch.setattr("tempfile.tempdir", str(noexec))
    monkeypatch.setenv("STRANDLINE_CACHE", str(cache))
    assert temporary_folder() == noexec
    seen = os.statvfs

    def statvfs(path: Path) -> os.statvfs_result:
        found = list(seen(path))
        if path == noexec:
            found[8] |= os.ST_NOEXEC
        return os.statvfs_result(found)

    monkeypatch.setattr(os, "statvfs", statvfs)
    assert temporary_folder() == cache / "runs"
