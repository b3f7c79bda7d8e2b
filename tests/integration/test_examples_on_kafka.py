"""The examples through a broker and a Flink job, as their users start them."""

import re
import subprocess
import sys
from pathlib import Path

import pytest

from strandline.manifest import TrainBody
from strandline.store import open_store
from strandline.store.chain import log

pytestmark = [pytest.mark.rare, pytest.mark.timeout(300)]
EXAMPLES = Path(__file__).parents[2] / "examples"
EVENTS = 20_000


@pytest.mark.parametrize("name", ["clickthrough", "sensors"])
def test_an_example_learns_from_a_topic(name: str, tmp_path: Path) -> None:
    url = str(tmp_path / "store")
    options = ("--kafka", "--events", str(EVENTS), "--store", url)
    command = [sys.executable, str(EXAMPLES / name / f"{name}.py"), *options]
    shown = subprocess.run(command, check=True, capture_output=True, text=True, timeout=200).stdout
    bodies = [manifest.body for manifest in log(open_store(url))]
    learned = sum(body.counts.learned for body in bodies if isinstance(body, TrainBody))
    assert learned == EVENTS
    assert re.search(r"\d\.\d+ in the newest", shown)
