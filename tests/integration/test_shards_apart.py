"""Checkpoints that reach one shard's merger and not the other's, in a cluster of two machines."""

from collections.abc import Iterator
from contextlib import ExitStack
from dataclasses import dataclass
from pathlib import Path
from subprocess import Popen

import pytest
from safetensors import safe_open

from strandline.manifest import TrainBody
from strandline.store import Store
from strandline.store.chain import log
from strandline_flink import flink_rest
from strandline_flink.dev.broker import Broker, free_port
from strandline_flink.dev.cluster import Cluster
from tests.integration.flink_command import flink, running_jobs
from tests.integration.gate import Gate
from tests.integration.harness import Run, restored_opens
from tests.integration.live import live_run

pytestmark = [pytest.mark.long, pytest.mark.timeout(300)]
NAMES = ("one", "two")
SETTINGS = {
    "heartbeat.interval": 500,
    "heartbeat.timeout": 30_000,  # no restart because a TaskManager is slow
    "web.refresh-interval": 100,  # how old REST's answers may be
}
# The task of the worker, and of the merger beside it.
NEAR_TASKS = 2


@dataclass(frozen=True)
class Machine:
    """A TaskManager, and the gate through which the other one reads from it."""

    gate: Gate
    taskmanager: Popen[bytes]


@dataclass(frozen=True)
class Machines:
    """A cluster of two TaskManagers, each with one slot."""

    cluster: Cluster
    by_name: dict[str, Machine]

    @property
    def options(self) -> tuple[str, ...]:
        """A merger on each of them; the only worker, and what joins the shards, on one."""
        return ("--shards=2", "--mode=thread", f"--flink={self.cluster.address}")

    def near(self) -> Machine:
        """The one with the worker: deltas and barriers come to its merger without the network."""
        job = f"jobs/{self.job()}"
        vertices = flink_rest.ask(self.cluster.address, job)["vertices"]
        (source,) = (each["id"] for each in vertices if "BlockSource" in each["name"])
        (task,) = flink_rest.ask(self.cluster.address, f"{job}/vertices/{source}")["subtasks"]
        return self.by_name[task["taskmanager-id"]]

    def far(self) -> Machine:
        near = self.near()
        (far,) = (each for each in self.by_name.values() if each is not near)
        return far

    def job(self) -> str:
        (job,) = running_jobs(self.cluster)
        return job

    def waits_for_far(self) -> bool:
        """Whether a checkpoint is pending that lacks nobody's word but the far merger's."""
        told = flink_rest.ask(self.cluster.address, f"jobs/{self.job()}/checkpoints")
        return any(
            each["status"] == "IN_PROGRESS" and each["num_acknowledged_subtasks"] == NEAR_TASKS
            for each in told["history"]
        )

    def abort_checkpoint(self) -> None:
        """Abort the checkpoint that is pending: by a stop whose savepoint cannot be written.

        The job goes on. Both TaskManagers know of the abort when this returns.
        """
        no_folder = self.cluster.configuration / "config.yaml"
        # Each aborts the savepoint's own checkpoint too, and a task remembers the newest abort
        # only. By the second one the pending checkpoint is so old that it is known for aborted.
        for _ in range(2):
            flink(self.cluster, "stop", "-p", str(no_folder), self.job(), fails=True)
        for name in self.by_name:  # messages to a TaskManager arrive in order
            flink_rest.ask(self.cluster.address, f"taskmanagers/{name}/thread-dump")


@pytest.fixture
def machines(tmp_path: Path) -> Iterator[Machines]:
    with (
        ExitStack() as gates,
        Cluster(tmp_path / "flink", taskmanagers=0, settings=SETTINGS) as cluster,
    ):
        by_name = {}
        for name in NAMES:
            port = free_port()
            gate = gates.enter_context(Gate(port))
            settings = {
                "taskmanager.data.bind-port": port,
                "taskmanager.data.port": gate.port,  # where the others are told to connect
                "taskmanager.resource-id": name,
            }
            by_name[name] = Machine(gate, cluster.start_taskmanager(settings))
        cluster.wait_for_slots(len(NAMES))
        yield Machines(cluster, by_name)


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


def wait_for_one_shard(run: Run, machines: Machines, gate: Gate) -> None:
    """Wait until one merger alone has prepared what both are to prepare for a pending checkpoint.

    What the closed gate keeps goes before the barrier of the newest checkpoint, or is that.
    """

    def prepared() -> bool:
        if not (gate.keeps and machines.waits_for_far()):
            return False
        if not staged_apart(run):
            machines.abort_checkpoint()  # it has no events: the next one has
        return staged_apart(run)

    run.wait_until("one shard is prepared", prepared)


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


def test_aborted_checkpoint_was_cut_by_one_shard_only(
    broker: Broker, machines: Machines, tmp_path: Path
) -> None:
    """The other merger hears of the abort before the barrier; the next checkpoint has both."""
    with live_run(broker, "cut-apart", tmp_path, *machines.options) as run:
        gate = machines.near().gate
        with gate.closed():
            wait_for_one_shard(run, machines, gate)
            machines.abort_checkpoint()
        run.wait_for_more(1)
        assert cut_apart(run.store)
        assert restored_opens(run.store) == 0


@pytest.mark.parametrize("victim", ["prepared", "other"])
def test_taskmanager_is_killed_when_one_shard_is_prepared_and_the_other_is_not(
    broker: Broker, machines: Machines, tmp_path: Path, victim: str
) -> None:
    """The prepared part belongs to a checkpoint that never completes: its events come again."""
    with live_run(broker, f"killed-{victim}", tmp_path, *machines.options) as run:
        killed = machines.near() if victim == "prepared" else machines.far()
        gate = machines.near().gate
        before = restored_opens(run.store)
        with gate.closed():
            wait_for_one_shard(run, machines, gate)
            killed.taskmanager.kill()
            killed.taskmanager.wait()
        machines.cluster.taskmanagers.remove(killed.taskmanager)
        machines.cluster.start_taskmanager()
        run.wait_until("the restore", lambda: restored_opens(run.store) > before)
