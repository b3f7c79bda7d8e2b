"""`strandline run --mode process`: the same guarantees with Python in processes of its own."""

import time
from collections.abc import Sequence
from contextlib import suppress
from pathlib import Path

import psutil
import pytest

from strandline_flink.broker import Broker
from tests.integration.harness import Run, check_exact, produce
from tests.streams import clicks

pytestmark = pytest.mark.timeout(300)
WORKER = "pyflink.fn_execution.beam.beam_boot"
GONE_WITHIN_S = 10
PROCESSES = ("--mode=process", "--parallelism=1")


def python_workers() -> set[psutil.Process]:
    """Flink's Python workers below this test: a killed run's orphans are adopted by it."""
    found = set()
    for process in psutil.Process().children(recursive=True):
        with suppress(psutil.NoSuchProcess):
            if WORKER in process.cmdline():
                found.add(process)
    return found


def gone(processes: Sequence[psutil.Process]) -> bool:
    """Whether they all ended within a few seconds."""
    deadline_s = time.monotonic() + GONE_WITHIN_S
    while time.monotonic() < deadline_s:
        if not any(process.is_running() and process.status() != "zombie" for process in processes):
            return True
        time.sleep(0.05)
    return False


def test_a_bounded_run_learns_the_topic_exactly_once(broker: Broker, tmp_path: Path) -> None:
    broker.create_topic("bounded-process", 2)
    produce(broker, "bounded-process", clicks(20_000))
    with Run(broker.bootstrap, "bounded-process", tmp_path, "--bounded", *PROCESSES) as run:
        run.wait_for_version(1)
        summary = run.summary()
    assert (summary["ended"], summary["events"], summary["mode"]) == ("finished", 20_000, "process")
    check_exact(broker, "bounded-process", run.store_url)


def test_killed_java_leaves_no_python_worker_and_the_same_command_goes_on(
    broker: Broker, tmp_path: Path
) -> None:
    broker.create_topic("killed-process", 2)
    produce(broker, "killed-process", clicks(3000))
    with Run(broker.bootstrap, "killed-process", tmp_path, *PROCESSES) as run:
        run.wait_for_version(2)
        workers = python_workers()
        assert workers
        java = [each for each in run.processes() if each.name() == "java"]
        assert len(java) == 1
        java[0].kill()
        assert gone(list(workers))
        code, _, err = run.finish()
        assert code == 1
        assert "its Java process died" in err
        produce(broker, "killed-process", clicks(3000, seed=1))
        run.start()
        run.wait_for_version(2)
        workers = python_workers()
        assert workers
        run.kill()
        assert gone(list(workers))
    with Run(broker.bootstrap, "killed-process", tmp_path, "--bounded", *PROCESSES) as last:
        last.summary()
    check_exact(broker, "killed-process", run.store_url)
