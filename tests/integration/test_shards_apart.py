"""Checkpoints that reach one shard's merger and not the other's, in a cluster of two machines."""

import time
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

import psutil
import pytest
from safetensors import safe_open

from strandline.manifest import TrainBody
from strandline.store import Store
from strandline.store.chain import log
from strandline_flink.dev.broker import Broker
from strandline_flink.dev.cluster import Cluster
from tests.integration.harness import Run, restored_opens
from tests.integration.live import Background, live_run

pytestmark = [pytest.mark.long, pytest.mark.timeout(300)]
ROUNDS = 20
PULSES = 5
PULSE_S = 0.1
FROZEN_S = 2.0


@pytest.fixture(scope="module")
def cluster(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Cluster]:
    folder = tmp_path_factory.mktemp("flink")
    settings = {
        "heartbeat.interval": 500,
        "heartbeat.timeout": 30_000,
        # Every checkpoint needs a file, so one can be made to fail.
        "execution.checkpointing.storage": "filesystem",
        "execution.checkpointing.dir": (folder / "checkpoints").as_uri(),
        "execution.checkpointing.data-inline-threshold": "0b",
    }
    with Cluster(folder, taskmanagers=2, settings=settings) as running:
        yield running


def options(cluster: Cluster) -> tuple[str, ...]:
    """A merger on each TaskManager."""
    return ("--shards=2", "--mode=thread", f"--flink={cluster.address}")


@contextmanager
def frozen(taskmanager: psutil.Process) -> Iterator[None]:
    """The process sleeps, as a machine does whose disk or network hangs."""
    taskmanager.suspend()
    try:
        yield
    finally:
        if taskmanager.is_running():
            taskmanager.resume()


def cut_apart(store: Store) -> bool:
    """Whether the mergers of a version cut its deltas at different places."""
    for manifest in log(store):
        if isinstance(manifest.body, TrainBody):
            cuts: dict[int, list[dict[str, int]]] = {}
            for file in manifest.body.files:
                cuts.setdefault(file.shard, []).append(file.seqs)
            if len(cuts) == 2 and cuts[0] != cuts[1]:
                return True
    return False


class NoCheckpoints(Background):
    """Every checkpoint is triggered and none can be written: a task declines it."""

    def __init__(self, folder: Path) -> None:
        super().__init__()
        self._folder = folder

    def _work(self) -> None:
        while not self._stop.wait(0.0005):
            for checkpoint in self._folder.glob("*/chk-*"):
                with suppress(OSError):  # it was not empty, or is a file already
                    checkpoint.rmdir()
                    checkpoint.write_text("in the way")


def test_aborted_checkpoint_was_cut_by_one_shard_only(
    broker: Broker, cluster: Cluster, tmp_path: Path
) -> None:
    """It fails at the source, while one of the mergers sleeps; the next one has both."""
    taskmanagers = [psutil.Process(each.pid) for each in cluster.taskmanagers]
    with live_run(broker, "cut-apart", tmp_path, *options(cluster)) as run:
        for _ in range(ROUNDS):
            with NoCheckpoints(cluster.folder / "checkpoints"):
                for taskmanager in taskmanagers * PULSES:
                    with frozen(taskmanager):
                        time.sleep(PULSE_S)
                    time.sleep(PULSE_S)
            run.wait_for_more(1)
            if cut_apart(run.store):
                break
        assert cut_apart(run.store), "no checkpoint was aborted between the shards"
        assert restored_opens(run.store) == 0


def staged_apart(run: Run) -> bool:
    """Whether one shard alone has a file that no version names."""
    bodies = [manifest.body for manifest in log(run.store)]
    named = {f.sha256 for body in bodies if isinstance(body, TrainBody) for f in body.files}
    shards = set()
    for file in Path(run.store_url, "deltas").glob("*.safetensors"):
        if file.stem not in named:
            with safe_open(file, "numpy") as delta:
                shards.add(delta.metadata()["shard"])
    return len(shards) == 1


def test_taskmanager_is_killed_when_one_shard_is_prepared_and_the_other_is_not(
    broker: Broker, cluster: Cluster, tmp_path: Path
) -> None:
    """The prepared part belongs to a checkpoint that never completes: its events come again."""
    with live_run(broker, "killed-apart", tmp_path, *options(cluster)) as run:
        before = restored_opens(run.store)
        for victim in cluster.taskmanagers * PULSES:
            with frozen(psutil.Process(victim.pid)):
                time.sleep(FROZEN_S)
                if staged_apart(run):
                    victim.kill()
                    victim.wait()
                    break
            run.wait_for_more(1)
        assert victim.poll() is not None, "no shard was prepared alone"
        cluster.taskmanagers.remove(victim)
        cluster.start_taskmanager()
        run.wait_until("the restore", lambda: restored_opens(run.store) > before)
