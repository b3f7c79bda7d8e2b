"""A fresh checkout on a machine with Python, make and the network, and nothing else."""

import os
import shutil
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]
COMMANDS = ("sh", "make", "awk", "rm")
NETWORK = ("PIP_", "SSL_CERT", "REQUESTS_CA", "CURL_CA", "HTTP_PROXY", "HTTPS_PROXY", "NO_PROXY")
AGAIN_SHARE_MAX = 0.1


class Machine:
    """A checkout of HEAD, an empty home and a PATH of a few links: no java, mvn, uv or compiler."""

    def __init__(self, folder: Path) -> None:
        self.repo, self.home, self.path = (folder / name for name in ("repo", "home", "bin"))
        clone = ["git", "clone", "--quiet", "--no-hardlinks", str(ROOT), str(self.repo)]
        subprocess.run(clone, check=True)
        self.home.mkdir()
        self.path.mkdir()
        for command in COMMANDS:
            found = shutil.which(command)
            assert found, f"{command} is needed to run this test"
            (self.path / command).symlink_to(found)
        python = Path(sys.base_prefix) / "bin" / "python{}.{}".format(*sys.version_info[:2])
        (self.path / "python3").symlink_to(python)

    def run(self, *command: str) -> str:
        env = {key: value for key, value in os.environ.items() if key.upper().startswith(NETWORK)}
        env |= {"HOME": str(self.home), "PATH": str(self.path)}
        result = subprocess.run(
            [str(self.path / command[0]), *command[1:]],  # an absolute path stays one
            cwd=self.repo,
            env=env,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
            check=False,
        )
        assert result.returncode == 0, result.stdout
        return result.stdout


@pytest.fixture
def machine(tmp_path: Path) -> Iterator[Machine]:
    yield Machine(tmp_path)
    shutil.rmtree(tmp_path)  # more than a gigabyte


@pytest.mark.rare
@pytest.mark.timeout(900)
def test_a_bare_machine_becomes_ready_and_stays_so(machine: Machine) -> None:
    began_s = time.monotonic()
    assert "ready in" in machine.run("make", "setup")
    ready_s = time.monotonic()
    assert machine.run("make", "setup") == ""
    assert time.monotonic() - ready_s < AGAIN_SHARE_MAX * (ready_s - began_s)
    python = str(machine.repo / ".venv" / "bin" / "python")
    compile_java = "from strandline_flink.jars import compiled; print(compiled())"
    assert str(machine.home) in machine.run(python, "-c", compile_java)
