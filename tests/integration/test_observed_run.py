"""A run with every type of learner, in both modes: its parameters, its metrics, and its log."""

import re
import tempfile
import time
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

import pytest

from strandline.manifest import Manifest, TrainBody
from strandline.reading.model import open_model
from strandline.spec import Spec
from strandline.store import Store, open_store
from strandline.store.chain import log
from strandline_flink.cluster import flink_rest
from strandline_flink.dev.broker import Broker
from tests.integration.harness import Run, check_bits, check_exact, items_of, produce
from tests.oracles.decay import decayed
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
DESCRIPTION = Path(__file__).parents[2] / "docs" / "observability.md"
METRICS_WITHIN_S = 30
OPERATORS = {"Source__BlockSource", "WorkerAccounts", "MergerAccounts", "ModelStore__Committer"}


@dataclass(frozen=True)
class Observed:
    """What a run left: its store, Flink's metrics and its log near its end, its versions.

    `sent_bytes` are all that the worker's task has sent through Flink, `beam` is whether a process
    of the run had Beam's libraries in memory.
    """

    mode: str
    store: Store
    metrics: dict[str, int]
    sent_bytes: int
    beam: bool
    log: str
    versions: list[Manifest]

    @property
    def bodies(self) -> list[TrainBody]:
        return [each.body for each in self.versions if isinstance(each.body, TrainBody)]


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
        patch.setenv("PYTHONPATH", f"{folder / 'site'}:{EXAMPLE}", prepend=":")
        with Run(broker.bootstrap, topic, folder, f"--mode={mode}") as run:
            size = len(EVENTS) // BURSTS
            for burst in range(BURSTS):
                produce(broker, topic, EVENTS[burst * size : (burst + 1) * size], 1)
                run.wait_for_events({0: (burst + 1) * size})
            store, logged = open_store(run.store_url), log_of(run)
            versions = trained(store)
            run.wait_until(
                "the last commit's line",
                lambda: len(accounts(logged.read_text(), "commit")) == len(versions),
            )
            text = logged.read_text()
            metrics = read_metrics(rest_address(text))
            sent_bytes = read_sent_bytes(rest_address(text))
            mapped = (each.path for process in run.processes() for each in process.memory_maps())
            beam = any("apache_beam" in path for path in mapped)
            run.stop()
        check_exact(broker, topic, run.store_url)
        yield Observed(mode, store, metrics, sent_bytes, beam, text, versions)


@pytest.mark.long
def test_two_workers_count_exactly(
    broker: Broker, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    broker.create_topic("observed-two", 2)
    produce(broker, "observed-two", EVENTS)
    (tmp_path / "spec.toml").write_text(CLICKS + LEARNERS)
    install_example(monkeypatch, tmp_path / "site")
    monkeypatch.setenv("PYTHONPATH", f"{tmp_path / 'site'}:{EXAMPLE}", prepend=":")
    options = ("--bounded", "--parallelism=2", "--checkpoint=100ms")
    with Run(broker.bootstrap, "observed-two", tmp_path, *options) as run:
        assert run.summary()["rejected"] == REJECTED
    check_exact(broker, "observed-two", run.store_url)
    check_counts(run.store, trained(run.store), partitions=2)


def trained(store: Store) -> list[Manifest]:
    return [each for each in log(store, newest_first=False) if each.kind == "train"]


def log_of(run: Run) -> Path:
    (found,) = Path(tempfile.gettempdir()).glob(f"strandline-run-{run.pid}-*/log/flink-*.log")
    return found


def rest_address(text: str) -> str:
    found = re.search(r"Rest endpoint listening at (\S+)", text)
    assert found is not None
    return found[1]


def check_counts(store: Store, versions: Sequence[Manifest], partitions: int) -> None:
    """What must be exact however many workers learned it."""
    model, (items, _) = open_model(store), items_of(EVENTS)
    clicked = sum(clicks for _, clicks in items.values())
    bayes = model.estimator("bayes")
    assert bayes.class_count_.tolist() == [len(EVENTS) - REJECTED - clicked, clicked]
    assert model.estimator("linear").t_ == len(EVENTS) - REJECTED + 1
    faded = decayed(((each.time_ms, items_at(each, partitions)) for each in versions), 60_000)
    found = {item: model.count(f"i{item}", "trend") for item in faded}
    assert found == {item: pytest.approx(counts) for item, counts in faded.items()}


def items_at(version: Manifest, partitions: int) -> dict[int, tuple[int, int]]:
    """Events and clicks by item of one version; event i went to partition i modulo `partitions`."""
    assert isinstance(version.body, TrainBody)
    spans = [span for delta in version.body.deltas for span in delta.spans]
    values = [
        EVENTS[partition + offset * partitions]
        for partition, first, end in spans
        for offset in range(first, end)
    ]
    return {int(item[1:]): counts for item, counts in items_of(values)[0].items()}


def accounts(text: str, operator: str) -> list[dict[str, str]]:
    """What an operator said of its epochs, in the log's words."""
    found = re.findall(rf"INFO +EpochMetrics +- {operator} (.+)", text)
    return [dict(pair.split("=") for pair in line.split()) for line in found]


def read_metrics(address: str) -> dict[str, int]:
    """All that the REST interface shows of ours, once every operator is there."""
    (job,) = [each["jid"] for each in flink_rest.ask(address, "jobs/overview")["jobs"]]
    deadline_s = time.monotonic() + METRICS_WITHIN_S
    found: dict[str, int] = {}
    while {name.split(".")[1] for name in found} != OPERATORS:
        assert time.monotonic() < deadline_s, found
        time.sleep(0.1)
        for vertex in flink_rest.ask(address, f"jobs/{job}")["vertices"]:
            path = f"jobs/{job}/vertices/{vertex['id']}/metrics"
            names = [each["id"] for each in flink_rest.ask(address, path)]
            ours = ",".join(name for name in names if ".strandline." in name)
            values = flink_rest.ask(address, f"{path}?get={ours}") if ours else []
            found |= {each["id"]: int(each["value"]) for each in values}
    return found


def read_sent_bytes(address: str) -> int:
    """What the job's first task, the worker's, has sent."""
    (job,) = [each["jid"] for each in flink_rest.ask(address, "jobs/overview")["jobs"]]
    worker, *_ = flink_rest.ask(address, f"jobs/{job}")["vertices"]
    assert "Worker" in worker["name"]
    return int(worker["metrics"]["write-bytes"])


def test_parameters_are_those_of_the_same_epochs_learned_in_this_process(
    observed: Observed, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    install_example(monkeypatch, tmp_path / "site")
    check_bits(observed.store, Spec.parse(CLICKS + LEARNERS), EVENTS)


def test_counts_and_naive_bayes_are_exact(
    observed: Observed, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    install_example(monkeypatch, tmp_path / "site")
    check_counts(observed.store, observed.versions, partitions=1)


def test_flink_shows_what_the_versions_say(observed: Observed) -> None:
    metrics, bodies = observed.metrics, observed.bodies
    counts = {"events": len(EVENTS), "learned": len(EVENTS) - REJECTED, "rejected": REJECTED}
    rows = sum(sum(file.rows.values()) for body in bodies for file in body.files)
    file_bytes = sum(file.bytes for body in bodies for file in body.files)
    last = bodies[-1]
    told: dict[str, dict[str, int | None]] = {
        "WorkerAccounts": counts
        | {"refused": 0, "delta_rows": rows, "epoch": last.checkpoint}
        | {"adopted": last.deltas[0].adopted},
        "MergerAccounts": {"delta_rows": rows, "delta_bytes": file_bytes, "epoch": last.checkpoint}
        | {"adopted": last.files[0].replica},
        "ModelStore__Committer": counts
        | {"refused": 0, "epoch": last.checkpoint}
        | {"version": observed.store.head(), "versions": len(bodies)},
        "Source__BlockSource": {"partition.0.lag": 0},
    }
    expected = {
        f"0.{operator}.strandline.{name}": value
        for operator, values in told.items()
        for name, value in values.items()
    }
    assert {name: metrics.get(name) for name in expected} == expected
    others = {name: value for name, value in metrics.items() if name not in expected}
    assert sorted(name.rpartition(".")[2] for name in others) == [
        "commit_ms",
        "delta_bytes",  # a worker's, before the merge
        "freshness_ms",
        "learn_ms",
        "merge_ms",
        "prepare_ms",
        *["since_epoch_ms"] * 3,
    ]
    assert all(0 <= value < 10**6 for value in others.values())


def test_deltas_pass_through_flink_only_from_processes_of_their_own(observed: Observed) -> None:
    delta_bytes = observed.metrics["0.WorkerAccounts.strandline.delta_bytes"]
    if observed.mode == "thread":
        assert 0 < observed.sent_bytes < delta_bytes / 10
    else:
        assert observed.sent_bytes > delta_bytes


def test_beam_is_in_memory_only_where_python_runs_in_processes(observed: Observed) -> None:
    assert observed.beam == (observed.mode == "process")


def test_every_metric_is_described(observed: Observed) -> None:
    described = set(re.findall(r"`([a-z_.N]+)`", DESCRIPTION.read_text()))
    names = {name.partition(".strandline.")[2].replace(".0.", ".N.") for name in observed.metrics}
    assert names - described == set()


def test_the_log_has_a_line_of_each_operator_for_each_version(observed: Observed) -> None:
    entry = observed.versions[-1].streams["events"]
    commits = accounts(observed.log, "commit")
    for version, body, line in zip(observed.versions, observed.bodies, commits, strict=True):
        expected = {
            "stream": "events",
            "run": entry.run,
            "version": version.version,
            "epoch": body.checkpoint,
            "events": body.counts.events,
            "rejected": body.counts.rejected,
        }
        assert {name: line[name] for name in expected} == {
            name: str(value) for name, value in expected.items()
        }
        assert {"commit_ms", "freshness_ms"} < line.keys()
    epochs = [line["epoch"] for line in commits]
    for operator in ("worker", "merger"):
        assert [line["epoch"] for line in accounts(observed.log, operator)] == epochs
