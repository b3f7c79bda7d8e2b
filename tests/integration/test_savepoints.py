"""Flink's savepoints on a real cluster: what a restore goes on from, and what it is refused."""

from collections.abc import Iterator
from pathlib import Path

import pytest

from strandline.store import Store
from strandline.store.chain import log
from strandline_flink.dev.broker import Broker
from strandline_flink.dev.cluster import Cluster
from strandline_flink.processes.ports import HOST, free_port
from tests.integration.flink_command import PATIENT, FlinkCommand, running_jobs
from tests.integration.gate import Gate
from tests.integration.harness import Run, check_exact, ends, made, produce, restored_opens
from tests.integration.live import Producing
from tests.streams import clicks

pytestmark = [pytest.mark.timeout(400)]


@pytest.fixture(scope="module")
def cluster(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Cluster]:
    folder = tmp_path_factory.mktemp("flink")
    with Cluster(folder, taskmanagers=2, settings=PATIENT) as running:
        yield running


def kinds(store: Store) -> list[str]:
    """What each version is, oldest first."""
    return [manifest.kind for manifest in log(store, newest_first=False)]


def runs(store: Store) -> int:
    """How many runs the stream has had."""
    return len({each.streams["events"].run for each in log(store) if each.streams})


@pytest.mark.parametrize(
    "mode",
    [
        pytest.param("thread", marks=pytest.mark.long),
        pytest.param("process", marks=pytest.mark.rare),
    ],
)
def test_restore_from_an_older_savepoint_than_the_one_the_job_was_stopped_with(
    broker: Broker, cluster: Cluster, tmp_path: Path, mode: str
) -> None:
    topic = f"older-savepoint-{mode}"
    broker.create_topic(topic, 2)
    with FlinkCommand(cluster, broker, topic, tmp_path) as flink:
        with Producing(broker, topic):
            first = flink.run(f"--mode={mode}")
            flink.wait_for_more(3)
            older = flink.savepoint(first)
            flink.wait_for_more(3)
            newest = flink.stop(first)
            assert flink.state(first) == "FINISHED"
            head = flink.head()
            said = flink.refused(older)
            assert f"error: stream events: version {head} stands at" in said
            assert "start again without a savepoint: the job goes on from head" in said
            assert "Traceback" not in said
            assert flink.head() == head
            flink.run(f"--mode={mode}", savepoint=newest)
            flink.wait_for_more(4)
        flink.wait_for_all()
        assert (restored_opens(flink.store), runs(flink.store)) == (1, 1)
    check_exact(broker, topic, flink.store_url)


@pytest.mark.long
def test_job_dies_after_savepoints_whose_epochs_are_no_versions_yet(
    broker: Broker, cluster: Cluster, tmp_path: Path
) -> None:
    """The restore makes the versions; once another run holds the stream it is refused."""
    topic = "savepoint-epoch"
    broker.create_topic(topic, 2)
    produce(broker, topic, clicks(1000))
    with FlinkCommand(cluster, broker, topic, tmp_path) as flink:
        first = flink.run(checkpoint="10m")
        flink.wait_for_open()
        flink.savepoint(first)
        produce(broker, topic, clicks(500, seed=1))
        savepoint = flink.savepoint(first)
        flink.cancel(first)
        assert kinds(flink.store) == ["genesis", "open"]
        second = flink.run(savepoint=savepoint)
        flink.wait_for_all()
        flink.cancel(second)
        assert kinds(flink.store)[:5] == ["genesis", "open", "train", "train", "open"]
        third = flink.run()
        flink.wait_until("a start from head", lambda: runs(flink.store) == 2)
        said = flink.refused(savepoint)
        assert "but at version" in said
        assert "start again from head, without a savepoint" in said
        assert flink.state(third) == "RUNNING"
    check_exact(broker, topic, flink.store_url)


@pytest.mark.long
def test_drained_job_is_restored(broker: Broker, cluster: Cluster, tmp_path: Path) -> None:
    """It was stopped from outside of `strandline run`, which sees it finish."""
    topic = "drained"
    broker.create_topic(topic, 2)
    produce(broker, topic, clicks(1000))
    with FlinkCommand(cluster, broker, topic, tmp_path) as flink:
        with Run(broker.bootstrap, topic, tmp_path, f"--flink={cluster.address}") as run:
            run.wait_for_events(ends(broker, topic))
            produce(broker, topic, clicks(500, seed=1))
            (first,) = running_jobs(cluster)
            savepoint = flink.stop(first, "--drain")
            assert run.summary()["ended"] == "finished"
        produce(broker, topic, clicks(500, seed=2))
        flink.run(savepoint=savepoint)
        flink.wait_for_all()
        assert (restored_opens(flink.store), runs(flink.store)) == (1, 1)
    check_exact(broker, topic, flink.store_url)


@pytest.mark.long
def test_two_submissions_from_one_savepoint(
    broker: Broker, cluster: Cluster, tmp_path: Path
) -> None:
    """Both open the run again; the first to commit wins, the other ends."""
    topic = "two-submissions"
    broker.create_topic(topic, 2)
    produce(broker, topic, clicks(1000))
    with FlinkCommand(cluster, broker, topic, tmp_path) as flink:
        first = flink.run()
        flink.wait_for_all()
        savepoint = flink.stop(first)
        both = {flink.run(savepoint=savepoint), flink.run(savepoint=savepoint)}
        flink.wait_until("both opens", lambda: restored_opens(flink.store) == 2)
        produce(broker, topic, clicks(500, seed=1))
        flink.wait_until("the loser's end", lambda: "FAILED" in {flink.state(job) for job in both})
        (loser,) = (job for job in both if flink.state(job) == "FAILED")
        (winner,) = both - {loser}
        assert "STRANDLINE[rival] stream events: another commit of run" in flink.failure(loser)
        produce(broker, topic, clicks(500, seed=2))
        flink.wait_for_all()
        assert flink.state(winner) == "RUNNING"
    check_exact(broker, topic, flink.store_url)


class BrokerBehindGate(Broker):
    """Its clients are told to connect to a gate's port."""

    def __init__(self, folder: Path, port: int, gate: Gate) -> None:
        super().__init__(folder, port=port)
        self._gate = gate

    def _configure(self, ports: tuple[int, int]) -> None:
        super()._configure(ports)
        with (self.folder / "server.properties").open("a") as properties:
            properties.write(f"advertised.listeners=PLAINTEXT://{HOST}:{self._gate.port}\n")


@pytest.mark.long
def test_savepoint_triggered_before_partition_discovery_ends(
    cluster: Cluster, tmp_path: Path
) -> None:
    """The broker answers nothing once the open is made, nor where a bounded run ends."""
    topic, port = "undiscovered", free_port()
    with Gate(port) as gate, BrokerBehindGate(tmp_path / "kafka", port, gate) as broker:
        broker.create_topic(topic, 2)
        produce(broker, topic, clicks(1000))
        with FlinkCommand(cluster, broker, topic, tmp_path) as flink:
            discovered = discoveries(cluster)
            with gate.closed(once=lambda: made(flink.store_url, version=1)):
                first = flink.run("--bounded", checkpoint="10m")
                savepoint = flink.savepoint(first)
                flink.cancel(first)
                assert gate.keeps
                assert discoveries(cluster) == discovered
            assert kinds(flink.store) == ["genesis", "open"]
            second = flink.run("--bounded", savepoint=savepoint)
            assert flink.wait_for_end(second) == "FINISHED"
        assert kinds(flink.store)[:4] == ["genesis", "open", "open", "train"]
        check_exact(broker, topic, flink.store_url)


def discoveries(cluster: Cluster) -> int:
    """How often an enumerator has discovered partitions, as the JobManager's log says."""
    return (cluster.logs / "jobmanager.log").read_text().count("Partition split changes")
