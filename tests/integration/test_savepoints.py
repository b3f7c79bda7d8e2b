"""Flink's savepoints on a real cluster: what a restore goes on from, and what it is refused."""

from collections.abc import Iterator
from pathlib import Path

import pytest

from strandline.store import Store
from strandline.store.chain import log
from strandline_flink import flink_rest
from strandline_flink.dev.broker import Broker
from strandline_flink.dev.cluster import Cluster
from tests.integration.flink_command import FlinkCommand
from tests.integration.harness import Run, check_exact, ends, produce, restored_opens
from tests.integration.live import Producing
from tests.streams import clicks

pytestmark = [pytest.mark.long, pytest.mark.timeout(400)]


@pytest.fixture(scope="module")
def cluster(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Cluster]:
    slots = {"taskmanager.numberOfTaskSlots": 2}
    with Cluster(tmp_path_factory.mktemp("flink"), taskmanagers=2, settings=slots) as running:
        yield running


def kinds(store: Store) -> list[str]:
    """What each version is, oldest first."""
    return [manifest.kind for manifest in log(store, newest_first=False)]


def runs(store: Store) -> int:
    """How many runs the stream has had."""
    return len({each.streams["events"].run for each in log(store) if each.streams})


@pytest.mark.parametrize("mode", ["thread", "process"])
def test_restore_from_an_older_savepoint_than_the_one_the_job_was_stopped_with(
    broker: Broker, cluster: Cluster, tmp_path: Path, mode: str
) -> None:
    topic = f"older-savepoint-{mode}"
    broker.create_topic(topic, 2)
    flink = FlinkCommand(cluster, broker, topic, tmp_path)
    with Producing(broker, topic):
        first = flink.run(f"--mode={mode}")
        flink.wait_for_more(3)
        older = flink.savepoint(first)
        flink.wait_for_more(3)
        newest = flink.stop(first)
        assert flink.state(first) == "FINISHED"
        head = flink.head()
        if mode == "thread":
            said = flink.refused(older)
            assert f"error: stream events: version {head} stands at" in said
            assert "start again without a savepoint: the job goes on from head" in said
            assert "Traceback" not in said
            assert flink.head() == head
        second = flink.run(f"--mode={mode}", savepoint=newest)
        flink.wait_for_more(4)
    flink.wait_for_all()
    assert (restored_opens(flink.store), runs(flink.store)) == (1, 1)
    flink.cancel(second)
    check_exact(broker, topic, flink.store_url)


def test_job_dies_after_savepoints_whose_epochs_are_no_versions_yet(
    broker: Broker, cluster: Cluster, tmp_path: Path
) -> None:
    """The restore makes the versions; once another run holds the stream it is refused."""
    topic = "savepoint-epoch"
    broker.create_topic(topic, 2)
    produce(broker, topic, clicks(1000))
    flink = FlinkCommand(cluster, broker, topic, tmp_path)
    first = flink.run(checkpoint="10m")
    flink.wait_for_more(1)
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
    flink.cancel(third)
    check_exact(broker, topic, flink.store_url)


def test_drained_job_is_restored(broker: Broker, cluster: Cluster, tmp_path: Path) -> None:
    """Stopped from outside of `strandline run`, which sees it finish."""
    topic = "drained"
    broker.create_topic(topic, 2)
    produce(broker, topic, clicks(1000))
    flink = FlinkCommand(cluster, broker, topic, tmp_path)
    with Run(broker.bootstrap, topic, tmp_path, f"--flink={cluster.address}") as run:
        run.wait_for_events(ends(broker, topic))
        produce(broker, topic, clicks(500, seed=1))
        (first,) = unfinished(cluster)
        savepoint = flink.stop(first, "--drain")
        assert run.summary()["ended"] == "finished"
    produce(broker, topic, clicks(500, seed=2))
    second = flink.run(savepoint=savepoint)
    flink.wait_for_all()
    assert (restored_opens(flink.store), runs(flink.store)) == (1, 1)
    flink.cancel(second)
    check_exact(broker, topic, flink.store_url)


def test_two_submissions_from_one_savepoint(
    broker: Broker, cluster: Cluster, tmp_path: Path
) -> None:
    """Both open the run again; the first to commit wins, the other ends."""
    topic = "two-submissions"
    broker.create_topic(topic, 2)
    produce(broker, topic, clicks(1000))
    flink = FlinkCommand(cluster, broker, topic, tmp_path)
    first = flink.run()
    flink.wait_for_all()
    savepoint = flink.stop(first)
    both = {flink.run(savepoint=savepoint), flink.run(savepoint=savepoint)}
    flink.wait_until("both opens", lambda: restored_opens(flink.store) == 2)
    flink.wait_until("both jobs", lambda: {flink.state(each) for each in both} == {"RUNNING"})
    produce(broker, topic, clicks(500, seed=1))
    flink.wait_until("the loser's end", lambda: "FAILED" in {flink.state(job) for job in both})
    (loser,) = (job for job in both if flink.state(job) == "FAILED")
    (winner,) = both - {loser}
    assert "STRANDLINE[rival] stream events: another commit of run" in flink.failure(loser)
    produce(broker, topic, clicks(500, seed=2))
    flink.wait_for_all()
    assert flink.state(winner) == "RUNNING"
    flink.cancel(winner)
    check_exact(broker, topic, flink.store_url)


def test_restores_with_other_numbers_of_workers_and_shards(
    broker: Broker, cluster: Cluster, tmp_path: Path
) -> None:
    """More workers than partitions had state, more shards and fewer; the topic's ends move on."""
    topic = "rescaled-savepoint"
    broker.create_topic(topic, 2)
    produce(broker, topic, clicks(1000))
    flink = FlinkCommand(cluster, broker, topic, tmp_path)
    savepoint = ""
    for seed, (workers, shards) in enumerate([(1, 1), (4, 3), (2, 4), (1, 1)], start=1):
        job = flink.run(f"--parallelism={workers}", f"--shards={shards}", savepoint=savepoint)
        flink.wait_for_all()
        produce(broker, topic, clicks(500, seed))
        flink.wait_for_all()
        savepoint = flink.stop(job)
    assert (restored_opens(flink.store), runs(flink.store)) == (3, 1)
    check_exact(broker, topic, flink.store_url)


def unfinished(cluster: Cluster) -> list[str]:
    """The ids of the jobs that run."""
    jobs = flink_rest.ask(cluster.address, "jobs/overview")["jobs"]
    return [job["jid"] for job in jobs if job["state"] == "RUNNING"]
