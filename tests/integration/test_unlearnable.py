"""What cannot be learned is rejected as an event, inside Flink too."""

import json
import shutil
from pathlib import Path
from typing import Any

import pytest

from strandline.manifest import TrainBody
from strandline.reading.model import open_model
from strandline.store import log
from strandline_flink.dev.broker import Broker
from tests import faulty_learner
from tests.integration.harness import Run, produce
from tests.plugins import install

pytestmark = pytest.mark.timeout(400)
SPEC = """
name = "faulty"
label.path = "y"
features.item.kind = "category"
features.x.kind = "number"
[learners.line]
type = "sklearn"
features = ["x"]
bits = 4
estimator.name = "SGDRegressor"
[learners.sums]
type = "faulty"
feature = "item"
[learners.seen]
type = "counts"
feature = "item"
"""
GUILTY: dict[int, dict[str, Any]] = {
    3: {"x": 18446744073709551615},
    700: {"y": faulty_learner.NAN_CHANGE},
    701: {"y": faulty_learner.RAISES},
    2500: {"y": faulty_learner.RAISES_LATE},
    2999: {"y": 1e30},
}
EVENTS = 3000


def test_events_that_cannot_be_learned_cost_no_others(
    broker: Broker, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    check_only_the_guilty_are_rejected("thread", broker, tmp_path, monkeypatch)


@pytest.mark.long
def test_events_that_cannot_be_learned_cost_no_others_in_process_mode(
    broker: Broker, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    check_only_the_guilty_are_rejected("process", broker, tmp_path, monkeypatch)


def check_only_the_guilty_are_rejected(
    mode: str, broker: Broker, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    topic, site = f"unlearnable-{mode}", tmp_path / "site"
    shutil.copy(faulty_learner.__file__, tmp_path / "faulty_for_flink.py")
    monkeypatch.syspath_prepend(str(tmp_path))
    install(monkeypatch, site, "faulty", {"faulty": "faulty_for_flink:FaultySpec"})
    monkeypatch.setenv("PYTHONPATH", f"{site}:{tmp_path}")
    broker.create_topic(topic, 1)
    values: list[dict[str, Any]] = [
        {"y": n % 2, "item": f"i{n % 3}", "x": n % 5} for n in range(EVENTS)
    ]
    events = [json.dumps(value | GUILTY.get(n, {})).encode() for n, value in enumerate(values)]
    produce(broker, topic, events, partitions=1)
    (tmp_path / "spec.toml").write_text(SPEC)
    with Run(broker.bootstrap, topic, tmp_path, "--bounded", f"--mode={mode}") as run:
        summary = run.summary()
    counts = [summary[name] for name in ("events", "learned", "rejected", "refused")]
    assert counts == [EVENTS, EVENTS - len(GUILTY), len(GUILTY), 0]
    bodies = [each.body for each in log(run.store) if isinstance(each.body, TrainBody)]
    files = [body.rejects.file for body in bodies if body.rejects.file is not None]
    lines = [json.loads(line) for f in files for line in run.store.read("rejects", f).splitlines()]
    assert {line["offset"]: line["reason"] for line in lines} == {
        3: "too_large", 700: "unlearnable", 701: "unlearnable", 2500: "unlearnable",
        2999: "bad_label",
    }  # fmt: skip
    model = open_model(run.store)
    assert sum(model.count(f"i{n}")[0] for n in range(3)) == EVENTS - len(GUILTY)
