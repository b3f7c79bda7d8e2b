"""SIGKILL of one process of a cluster, while events come in and a reader follows."""

import time
from collections.abc import Iterator
from pathlib import Path

import pytest

from strandline_flink.dev.broker import Broker
from strandline_flink.dev.cluster import Cluster
from tests.integration.harness import Run, gone, python_workers, restored_opens
from tests.integration.live import live_run

pytestmark = [pytest.mark.timeout(600)]
FAST = {"heartbeat.timeout": 4000}  # how long TaskManagers believe in a killed JobManager


@pytest.fixture(scope="module")
def cluster(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Cluster]:
    with Cluster(tmp_path_factory.mktemp("flink"), taskmanagers=2, settings=FAST) as running:
        yield running


@pytest.mark.parametrize(
    "mode",
    [
        pytest.param("thread", marks=pytest.mark.long),
        pytest.param("process", marks=pytest.mark.rare),
    ],
)
def test_killed_taskmanager_and_killed_jobmanager(
    broker: Broker, cluster: Cluster, tmp_path: Path, mode: str
) -> None:
    options = ("--parallelism=2", f"--mode={mode}", f"--flink={cluster.address}")
    with live_run(broker, f"cluster-killed-{mode}", tmp_path, *options) as run:
        kill_taskmanager(cluster, run)
        kill_jobmanager(cluster, run)
        run.start()


def kill_taskmanager(cluster: Cluster, run: Run) -> None:
    """The job goes on by itself once there is a slot in its place."""
    workers, before = python_workers(), restored_opens(run.store)
    victim = cluster.taskmanagers.pop(0)
    below = [each for each in workers if any(a.pid == victim.pid for a in each.parents())]
    assert bool(below) == ("--mode=process" in run.options)
    killed_s = time.monotonic()
    victim.kill()
    victim.wait()
    assert gone(below)
    cluster.start_taskmanager()
    run.wait_until("the restore", lambda: restored_opens(run.store) > before)
    run.wait_for_more(2)
    print(f"versions again {time.monotonic() - killed_s:.1f} s after a TaskManager's kill")


def kill_jobmanager(cluster: Cluster, run: Run) -> None:
    """The job is gone with it: the run says so, and the same command goes on."""
    assert cluster.jobmanager is not None
    cluster.jobmanager.kill()
    cluster.jobmanager.wait()
    cluster.start_jobmanager()
    killed_s = time.monotonic()
    code, _, err = run.finish()
    print(f"told {time.monotonic() - killed_s:.1f} s after: {err}")
    assert code == 3, err
    assert "JobManager" in err
    wait_for_both(cluster)


def wait_for_both(cluster: Cluster) -> None:
    """As a supervisor does, start a TaskManager for one that ended.

    Flink ends one now and then whose Python tasks of process mode it cancels while they start:
    "Reference count must not be negative".
    """
    while cluster.slots() < 2:
        for ended in [each for each in cluster.taskmanagers if each.poll() is not None]:
            cluster.taskmanagers.remove(ended)
            cluster.start_taskmanager()
        time.sleep(0.1)
