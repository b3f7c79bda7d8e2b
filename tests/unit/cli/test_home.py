"""Commands without a home that can be written."""

import os
import subprocess
import sys
from pathlib import Path

import pytest

from strandline.cli.home import home_in, provide_home, usable_home

HOMES = [None, "", "/", "~", "not/absolute", "/no/such/home"]


@pytest.mark.parametrize("home", HOMES)
def test_a_command_without_a_home_gets_one_that_the_next_finds_again(
    home: str | None, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("tempfile.tempdir", str(tmp_path))
    for _ in range(2):
        monkeypatch.delenv("HOME") if home is None else monkeypatch.setenv("HOME", home)
        assert usable_home() is None
        provide_home()
        assert usable_home() == tmp_path / f"strandline-home-{os.getuid()}"
    assert (tmp_path / f"strandline-home-{os.getuid()}").stat().st_mode & 0o777 == 0o700


def test_a_home_that_can_be_written_stays(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("HOME", str(tmp_path))
    provide_home()
    assert os.environ["HOME"] == str(tmp_path)


def test_a_folder_that_others_made_or_can_write_is_no_home(tmp_path: Path) -> None:
    folder = home_in(tmp_path)
    folder.chmod(0o777)
    other = home_in(tmp_path)
    assert other != folder
    assert other.stat().st_mode & 0o777 == 0o700


@pytest.mark.parametrize("home", ["~", "/no/such/home"])
def test_no_folder_named_like_a_home_appears_where_a_command_works(
    home: str, tmp_path: Path
) -> None:
    """Numba is imported, and asks for a folder of the user's."""
    program = "from strandline.cli import main; main()"
    arguments = [sys.executable, "-c", program, "predict", str(tmp_path / "none")]
    temporary = tmp_path / "tmp"
    temporary.mkdir()
    environment = os.environ | {"HOME": home, "TMPDIR": str(temporary)}
    work = tmp_path / "work"
    work.mkdir()
    subprocess.run(arguments, cwd=work, env=environment, check=False, stdin=subprocess.DEVNULL)
    assert list(work.iterdir()) == []
    assert [path.name for path in temporary.iterdir()] == [f"strandline-home-{os.getuid()}"]
