"""Every bench runs: briefly, as a user would start it."""

import json
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]
BENCHES = sorted(
    file.stem for file in (ROOT / "bench").glob("*.py") if 'finish("' in file.read_text()
)


@pytest.mark.long
@pytest.mark.timeout(600)
@pytest.mark.parametrize("name", BENCHES)
def test_a_bench_ends_with_one_json_object(name: str) -> None:
    command = [sys.executable, "-m", f"bench.{name}", "--brief", "--json"]
    done = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    result = json.loads(done.stdout.splitlines()[-1])
    assert result["command"] == f'make bench-{name} ARGS="--brief"'
    assert result["machine"]["cores"]
