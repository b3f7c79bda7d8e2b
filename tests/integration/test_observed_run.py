"""A run with every type of learner, in both modes: its parameters, its metrics, and its log."""

import re
import tempfile
import time
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest

from strandline.base import parameters_at
from strandline.learners.loading import make_learners
from strandline.manifest import Manifest, TrainBody
from strandline.model import open_model
from strandline.spec import Spec
from strandline.store import Store, create_store, open_store
from strandline.store.chain import log
from strandline.transaction import open_stream
from strandline_flink import flink_rest
from strandline_flink.dev.broker import Broker
from tests.integration.harness import Run, check_exact, items_of, produce
from tests.plugins import EXAMPLE, install_example
from tests.streams import CLICKS, clicks

pytestmark = pytest.mark.timeout(240)
LEARNERS = """
[learners.linear]
type = "sklearn"
bits = 10
batch_events = 100
estimator = {name = "SGDClassifier", loss = "log_loss", learning_rate = "constant", eta0 = 0.05}
[learners.bayes]
type = "sklearn"
bits = 12
estimator = {name = "MultinomialNB"}
features = ["item"]
[learners.trend]
type = "counts"
feature = "item"
half_life_s = 60.0
[learners.level]
type = "ema"
feature = "item"
share = 0.05
"""
EVENTS = [b"{" if index % 100 == 7 else event for index, event in enumerate(clicks(9000))]
BURSTS = 3
REJECTED = 90
METRICS_WITHIN_S = 30


@dataclass(frozen=True)
class Observed:
    """What a run left: its store, Flink's metrics near its end, the lines of its log."""

    store: Store
    metrics: dict[str, int]
    lines: list[str]
    versions: list[Manifest]


@pytest.fixture(scope="module", params=["thread", "process"])
def observed(
    broker: Broker, tmp_path_factory: pytest.TempPathFactory, request: pytest.FixtureRequest
) -> Iterator[Observed]:
    mode, folder = str(request.param), tmp_path_factory.mktemp(f"observed-{request.param}")
    topic = f"observed-{mode}"
    broker.create_topic(topic, 1)
    (folder / "spec.toml").write_text(CLICKS + LEARNERS)
    with pytest.MonkeyPatch.context() as patch:
        install_example(patch, folder / "site")
        patch.setenv("PYTHONPATH", f"{folder / 'site'}:{EXAMPLE}")
        with Run(broker.bootstrap, topic, folder, f"--mode={mode}") as run:
            size = len(EVENTS) // BURSTS
            for burst in range(BURSTS):
                produce(broker, topic, EVENTS[burst * size : (burst + 1) * size], 1)
                run.wait_for_events({0: (burst + 1) * size})
            logged = log_of(run)
            metrics = read_metrics(rest_address(logged.read_text()))
            lines = logged.read_text().splitlines()
            run.stop()
        check_exact(broker, topic, run.store_url)
        store = open_store(run.store_url)
        versions = [each for each in log(store, newest_first=False) if each.kind == "train"]
        yield Observed(store, metrics, lines, versions)


def log_of(run: Run) -> Path:
    (found,) = Path(tempfile.gettempdir()).glob(f"strandline-run-{run.pid}-*/log/flink-*.log")
    return found


def rest_address(text: str) -> str:
    found = re.search(r"Rest endpoint listening at (\S+)", text)
    assert found is not None
    return found[1]


def read_metrics(address: str) -> dict[str, int]:
    """All that the REST interface shows of ours, as `operator.name`."""
    (job,) = [each["jid"] for each in flink_rest.ask(address, "jobs/overview")["jobs"]]
    deadline_s = time.monotonic() + METRICS_WITHIN_S
    while time.monotonic() < deadline_s:
        found: dict[str, int] = {}
        for vertex in flink_rest.ask(address, f"jobs/{job}")["vertices"]:
            path = f"jobs/{job}/vertices/{vertex['id']}/metrics"
            names = [each["id"] for each in flink_rest.ask(address, path)]
            wanted = ",".join(name for name in names if ".strandline." in name)
            if wanted:
                values: list[Any] = flink_rest.ask(address, f"{path}?get={wanted}")
                found |= {each["id"]: int(each["value"]) for each in values}
        print(found)
        if found:
            return found
        time.sleep(0.2)
    raise AssertionError("no metric of ours is shown")


def test_it(observed: Observed) -> None:
    for line in observed.lines:
        if "Metrics" in line or "strandline" in line or "start stream" in line or "open str" in line:
            print(line)
