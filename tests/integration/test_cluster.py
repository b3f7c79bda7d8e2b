"""`strandline run --flink` on a real cluster of processes."""

import json
import shutil
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path

import psutil
import pytest

from strandline.errors import EnvironmentUnfit
from strandline.store import Store
from strandline.store.chain import log
from strandline_flink.cluster import flink_rest
from strandline_flink.cluster.lib_folder import FLINK_HOME
from strandline_flink.dev.broker import Broker
from strandline_flink.dev.cluster import Cluster
from strandline_flink.launch.run import train_script
from strandline_flink.processes.ports import free_port
from tests.integration.harness import Run, check_exact, ends, gone, produce
from tests.integration.sockets import listening, open_to_others
from tests.streams import clicks

pytestmark = pytest.mark.timeout(300)
UNSHARE = ["unshare", "--map-root-user", "--mount"]
APART = shutil.which("unshare") is not None and subprocess.call([*UNSHARE, "true"]) == 0


@pytest.fixture(scope="module")
def cluster(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Cluster]:
    with Cluster(tmp_path_factory.mktemp("flink"), taskmanagers=1) as running:
        yield running


@pytest.mark.parametrize("mode", ["thread", pytest.param("process", marks=pytest.mark.rare)])
def test_a_bounded_run_learns_the_topic_exactly_once(
    broker: Broker, cluster: Cluster, tmp_path: Path, mode: str
) -> None:
    topic = f"cluster-bounded-{mode}"
    broker.create_topic(topic, 2)
    produce(broker, topic, clicks(20_000))
    options = ("--bounded", f"--mode={mode}", f"--flink={cluster.address}")
    with Run(broker.bootstrap, topic, tmp_path, *options) as run:
        summary = run.summary()
    assert (summary["ended"], summary["events"], summary["mode"]) == ("finished", 20_000, mode)
    check_exact(broker, topic, run.store_url)


@pytest.mark.long
def test_flink_run_submits_the_same_job(broker: Broker, cluster: Cluster, tmp_path: Path) -> None:
    broker.create_topic("flink-run", 2)
    produce(broker, "flink-run", clicks(5000))
    run = Run(broker.bootstrap, "flink-run", tmp_path)
    arguments = ["--spec", str(tmp_path / "spec.toml"), "--bootstrap", broker.bootstrap]
    arguments += ["--topic", "flink-run", "--store", run.store_url, "--bounded"]
    script = ["-m", cluster.address, "-py", str(train_script()), *arguments]
    subprocess.run(
        [FLINK_HOME / "bin" / "flink", "run", *script],
        check=True,
        env=cluster.environment(),
        timeout=120,
    )
    check_exact(broker, "flink-run", run.store_url)


@pytest.mark.long
def test_the_job_outlives_a_killed_command_and_the_same_command_takes_over(
    broker: Broker, cluster: Cluster, tmp_path: Path
) -> None:
    broker.create_topic("cluster-stop", 2)
    produce(broker, "cluster-stop", clicks(2000))
    with Run(broker.bootstrap, "cluster-stop", tmp_path, f"--flink={cluster.address}") as run:
        run.wait_for_events(ends(broker, "cluster-stop"))
        run.kill()
        assert len(flink_rest.unfinished_jobs(cluster.address)) == 1
        produce(broker, "cluster-stop", clicks(2000, seed=1))
        run.start()
        run.wait_for_events(ends(broker, "cluster-stop"))
        run.wait_until("its own open", lambda: opens(run.store) >= 2)
        assert run.stop()["ended"] == "stopped"
    deadline_s = time.monotonic() + 90
    while flink_rest.unfinished_jobs(cluster.address) and time.monotonic() < deadline_s:
        time.sleep(0.1)
    assert flink_rest.unfinished_jobs(cluster.address) == []
    check_exact(broker, "cluster-stop", run.store_url)


@pytest.mark.long
@pytest.mark.skipif(not APART, reason="no mount namespaces for this user")
def test_a_machine_that_does_not_see_the_store(
    broker: Broker, cluster: Cluster, tmp_path: Path
) -> None:
    """The client sees another file system under the store's path than the cluster."""
    broker.create_topic("cluster-unseen", 1)
    produce(broker, "cluster-unseen", clicks(100), partitions=1)
    (tmp_path / "mount").mkdir()
    run = Run(broker.bootstrap, "cluster-unseen", tmp_path, f"--flink={cluster.address}")
    apart = f'mount -t tmpfs none "{tmp_path}/mount" && exec "$0" "$@"'
    run.prefix = [*UNSHARE, "sh", "-c", apart]
    run.arguments[run.arguments.index("--store") + 1] = str(tmp_path / "mount" / "store")
    with run:
        code, _, err = run.finish()
    assert code == 4, err
    assert "sees no store at" in err
    assert "shared file system" in err


def opens(store: Store) -> int:
    return sum(manifest.kind == "open" for manifest in log(store))


def refused(run: Run) -> str:
    """The message of a run that the cluster's check refuses."""
    with run:
        code, out, err = run.finish()
    assert (code, out) == (3, ""), err
    assert not Path(run.store_url).exists()
    assert "Traceback" not in err
    return err


def test_no_jobmanager(broker: Broker, tmp_path: Path) -> None:
    broker.create_topic("no-jobmanager")
    address = f"localhost:{free_port()}"
    err = refused(Run(broker.bootstrap, "no-jobmanager", tmp_path, f"--flink={address}"))
    assert f"no Flink JobManager answers at {address}" in err


def test_something_else_than_a_jobmanager(broker: Broker, tmp_path: Path) -> None:
    broker.create_topic("no-flink")
    address = f"--flink={broker.bootstrap}"
    assert "JobManager" in refused(Run(broker.bootstrap, "no-flink", tmp_path, address))


def test_no_free_slots(broker: Broker, cluster: Cluster, tmp_path: Path) -> None:
    broker.create_topic("no-slots")
    options = (f"--flink={cluster.address}", "--parallelism=9")
    err = refused(Run(broker.bootstrap, "no-slots", tmp_path, *options))
    assert "has 1, 1 of them free" in err
    assert "Start more TaskManagers" in err


@pytest.mark.long
def test_cluster_without_flink_pythons_jar(broker: Broker, tmp_path: Path) -> None:
    broker.create_topic("no-jar", 1)
    produce(broker, "no-jar", clicks(500), partitions=1)
    with Cluster(tmp_path / "flink", taskmanagers=1, python_jar=False) as cluster:
        options = (f"--flink={cluster.address}", "--bounded")
        thread = Run(broker.bootstrap, "no-jar", tmp_path, *options, "--mode=thread")
        assert "no flink-python jar in its lib folder" in refused(thread)
        with Run(broker.bootstrap, "no-jar", tmp_path, *options) as auto:
            assert auto.summary()["mode"] == "process"
    check_exact(broker, "no-jar", auto.store_url)


@pytest.mark.long
def test_dev_flink_runs_until_it_is_told_to_stop(tmp_path: Path) -> None:
    command = [sys.executable, "-m", "strandline.cli", "dev", "flink", "--json"]
    with subprocess.Popen([*command, "--folder", tmp_path], stdout=subprocess.PIPE) as running:
        assert running.stdout is not None
        address = json.loads(running.stdout.readline())["flink"]
        assert flink_rest.slots(address) == (1, 1)
        processes = psutil.Process(running.pid).children(recursive=True)
        assert {each.name() for each in processes} == {"java"}
        assert open_to_others(listening(processes)) == []
        running.terminate()
        assert running.wait(30) == 0
    assert gone(processes)
    with pytest.raises(EnvironmentUnfit, match="no Flink JobManager"):
        flink_rest.slots(address)


@pytest.mark.long
def test_application_mode_starts_again_from_head(broker: Broker, tmp_path: Path) -> None:
    broker.create_topic("application", 2)
    produce(broker, "application", clicks(3000))
    run = Run(broker.bootstrap, "application", tmp_path)
    arguments = ["--spec", str(tmp_path / "spec.toml"), "--bootstrap", broker.bootstrap]
    arguments += ["--topic", "application", "--store", run.store_url, "--bounded"]
    for seed in (1, 2):
        application = [str(train_script()), *arguments]
        cluster = Cluster(tmp_path / f"flink-{seed}", application=application)
        cluster.start()
        try:
            assert cluster.jobmanager is not None
            assert cluster.jobmanager.wait(90) == 0, (cluster.logs / "jobmanager.log").read_text()
        finally:
            cluster.stop()
        produce(broker, "application", clicks(1000 * (2 - seed), seed))
    check_exact(broker, "application", run.store_url)
