"""The library as a container has it: nothing to write in but the store, no home, no user's name."""

import json
import shutil
import subprocess
import sys
import sysconfig
from pathlib import Path

import pytest

import strandline
from strandline.reading.model import open_model
from tests.integration.test_strange_machines import NOBODY, in_mounts, needs_mounts, readable
from tests.streams import CLICKS, clicks

PLACE = "/mnt"  # where that user finds the copy
pytestmark = [needs_mounts, pytest.mark.timeout(300)]


class Machine:
    """A copy of the package that nobody can write, and one folder that an unknown user can."""

    def __init__(self, folder: Path, *, kept: bool) -> None:
        self._folder = folder
        self._python = readable(Path(sys.base_prefix), folder / "python")
        without = shutil.ignore_patterns("*.nbi", "*.nbc") if not kept else None
        package = Path(strandline.__file__).parent
        shutil.copytree(package, folder / "site" / "strandline", ignore=without)
        (folder / "open").mkdir()
        (folder / "open").chmod(0o777)
        folder.chmod(0o755)

    def run(self, *command: str, given: bytes = b"", temporary: bool) -> tuple[str, str]:
        """Run a command of ours as that user; return what it prints, and its messages."""
        mounts = [*self._python, f"mount --bind {self._folder} {PLACE}"]
        mounts += [f"mount -o remount,ro,bind {PLACE}"]
        mounts += [f"mount --bind {self._folder}/open {PLACE}/open"]
        for read_only in ("/tmp", "/var/tmp", "/dev/shm"):
            mounts += [f"mount --bind {read_only} {read_only}"]
            mounts += [f"mount -o remount,ro,bind {read_only}"]
        if temporary:
            mounts += ["mount -t tmpfs -o mode=1777 tmpfs /var/tmp"]
        path = f"{PLACE}/site:{sysconfig.get_path('purelib')}"
        user = ["setpriv", f"--reuid={NOBODY}", f"--regid={NOBODY}", "--clear-groups"]
        user += ["env", "-i", f"PYTHONPATH={path}", "LANG=C", sys.executable]
        done = subprocess.run(
            in_mounts("\n".join([*mounts, "cd /"]), *user, "-m", "strandline.cli", *command),
            input=given, capture_output=True, check=False,
        )  # fmt: skip
        assert done.returncode == 0, done.stderr.decode()
        return done.stdout.decode(), done.stderr.decode()


@pytest.mark.parametrize(
    ("kept", "temporary", "said"),
    [
        (True, False, ""),
        pytest.param(False, True, "among temporary files", marks=pytest.mark.rare),
        pytest.param(False, False, "in memory alone", marks=pytest.mark.rare),
    ],
    ids=["an image with kept code", "temporary files", "nothing to write in"],
)
def test_unknown_user_on_a_read_only_installation_learns_and_predicts(
    kept: bool, temporary: bool, said: str, tmp_path: Path
) -> None:
    machine = Machine(tmp_path, kept=kept)
    (tmp_path / "events").write_bytes(b"\n".join(clicks(300)))
    (tmp_path / "spec.toml").write_text(CLICKS, "utf-8")
    store = f"{PLACE}/open/store"
    options = ("--input", f"{PLACE}/events", "--store", store)
    _, messages = machine.run("learn", f"{PLACE}/spec.toml", *options, temporary=temporary)
    assert messages.count("compiled code is") == bool(said), messages
    assert said in messages
    later = clicks(20, 9)
    printed, messages = machine.run(
        "predict", store, "--json", given=b"\n".join(later), temporary=temporary
    )
    scores = [json.loads(line)["score"] for line in printed.splitlines()]
    assert scores == open_model(tmp_path / "open" / "store").predict(later).scores.tolist()
    if kept:
        assert not messages
