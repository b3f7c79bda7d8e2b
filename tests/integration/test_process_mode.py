"""`strandline run --mode process`: the same guarantees with Python in processes of its own."""

from pathlib import Path

import psutil
import pytest

from strandline_flink.dev.broker import Broker
from tests.integration.harness import Run, check_exact, gone, produce, python_workers
from tests.streams import clicks

pytestmark = pytest.mark.timeout(300)
PROCESSES = ("--mode=process", "--parallelism=1")


def java_of(run: Run) -> psutil.Process:
    (java,) = (each for each in run.processes() if each.name() == "java")
    return java


def folders_of(java: psutil.Process) -> list[Path]:
    """Where a JVM's large elements go."""
    return list(Path("/dev/shm").glob(f"strandline-*-{java.pid}-*"))


def test_a_bounded_run_learns_the_topic_exactly_once(broker: Broker, tmp_path: Path) -> None:
    broker.create_topic("bounded-process", 2)
    produce(broker, "bounded-process", clicks(20_000))
    with Run(broker.bootstrap, "bounded-process", tmp_path, "--bounded", *PROCESSES) as run:
        run.wait_for_version(1)
        java = java_of(run)
        run.wait_until("a folder for blocks", lambda: folders_of(java) != [])
        summary = run.summary()
    assert folders_of(java) == []
    assert (summary["ended"], summary["events"], summary["mode"]) == ("finished", 20_000, "process")
    check_exact(broker, "bounded-process", run.store_url)


@pytest.mark.long
def test_killed_java_leaves_no_python_worker_and_the_same_command_goes_on(
    broker: Broker, tmp_path: Path
) -> None:
    broker.create_topic("killed-process", 2)
    produce(broker, "killed-process", clicks(3000))
    with Run(broker.bootstrap, "killed-process", tmp_path, *PROCESSES) as run:
        run.wait_for_version(2)
        workers = python_workers()
        assert workers
        java = java_of(run)
        assert folders_of(java)
        java.kill()
        assert gone(list(workers))
        code, _, err = run.finish()
        assert code == 1
        assert "its Java process died" in err
        produce(broker, "killed-process", clicks(3000, seed=1))
        run.start()
        run.wait_for_version(2)
        assert folders_of(java) == []  # the next one sweeps what the killed one left
        workers = python_workers()
        assert workers
        run.kill()
        assert gone(list(workers))
    with Run(broker.bootstrap, "killed-process", tmp_path, "--bounded", *PROCESSES) as last:
        last.summary()
    check_exact(broker, "killed-process", run.store_url)
