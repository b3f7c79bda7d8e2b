"""A short run of real faults at random moments: every event is in one version, counted once."""

import json
import subprocess
import sys

import pytest


@pytest.mark.long
@pytest.mark.timeout(900)
def test_faults_at_random_moments_lose_nothing_and_count_nothing_twice() -> None:
    command = [sys.executable, "-m", "tests.chaos", "--faults", "13", "--seed", "1", "--json"]
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    report = json.loads(done.stdout)
    assert len({each["fault"] for each in report["faults"]}) == 13
    assert (report["lost"], report["duplicated"]) == (0, 0)
    assert report["events"] == report["learned"] + report["rejected"] > 0
    assert report["models_checked"] > 13
