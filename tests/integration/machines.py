"""A cluster of two machines whose network can hang: a checkpoint stays between them at will."""

from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from pathlib import Path
from subprocess import Popen

from safetensors import safe_open

from strandline.manifest import TrainBody
from strandline.store.chain import log
from strandline_flink.cluster import flink_rest
from strandline_flink.dev.cluster import Cluster
from strandline_flink.processes.ports import free_port
from tests.integration.flink_command import PATIENT, flink, running_jobs
from tests.integration.gate import Gate
from tests.integration.harness import Run

NAMES = ("one", "two")
SETTINGS = {
    **PATIENT,
    "web.refresh-interval": 100,  # how old the answers of REST may be
}
# The task of the worker, and of the merger beside it.
NEAR_TASKS = 2


@dataclass(frozen=True)
class Machine:
    """A TaskManager of one slot, and the gate through which the other one reads from it."""

    gate: Gate
    taskmanager: Popen[bytes]


@dataclass(frozen=True)
class Machines:
    """The two of them, and the one job that runs there with a merger on each."""

    cluster: Cluster
    by_name: dict[str, Machine]

    @property
    def options(self) -> tuple[str, ...]:
        """For `strandline run`."""
        return ("--shards=2", "--mode=thread", f"--flink={self.cluster.address}")

    def near(self) -> Machine:
        """The one with the worker: its merger is given deltas and barriers without the network."""
        job = f"jobs/{self._job()}"
        vertices = flink_rest.ask(self.cluster.address, job)["vertices"]
        (source,) = (each["id"] for each in vertices if "BlockSource" in each["name"])
        (task,) = flink_rest.ask(self.cluster.address, f"{job}/vertices/{source}")["subtasks"]
        return self.by_name[task["taskmanager-id"]]

    def far(self) -> Machine:
        """The one with a merger and no worker."""
        near = self.near()
        (far,) = (each for each in self.by_name.values() if each is not near)
        return far

    @contextmanager
    def apart(self, run: Run) -> Iterator[None]:
        """The far merger hears nothing more until the block ends; Flink's calls go on.

        At its begin the near one, and no other, has prepared its shard of a pending checkpoint.
        """
        gate = self.near().gate

        def prepared() -> bool:
            # What the gate keeps goes before the newest checkpoint's barrier, or is that.
            if not (gate.keeps and self._waits_for_far()):
                return False
            if not staged_apart(run):
                self.abort_checkpoint()  # it has no events: the next one has
            return staged_apart(run)

        with gate.closed():
            run.wait_until("one shard is prepared", prepared)
            yield

    def abort_checkpoint(self) -> None:
        """Abort the checkpoint that is pending: by a stop whose savepoint cannot be written.

        The job goes on. Both TaskManagers know of the abort when this returns.
        """
        no_folder = self.cluster.configuration / "config.yaml"
        # Each aborts the savepoint's own checkpoint too, and a task remembers the newest abort
        # only. By the second one the pending checkpoint is so old that it is known for aborted.
        for _ in range(2):
            flink(self.cluster, "stop", "-p", str(no_folder), self._job(), fails=True)
        for name in self.by_name:  # messages to a TaskManager arrive in order
            flink_rest.ask(self.cluster.address, f"taskmanagers/{name}/thread-dump")

    def _waits_for_far(self) -> bool:
        """Whether a checkpoint is pending that lacks nobody's word but the far merger's."""
        told = flink_rest.ask(self.cluster.address, f"jobs/{self._job()}/checkpoints")
        return any(
            each["status"] == "IN_PROGRESS" and each["num_acknowledged_subtasks"] == NEAR_TASKS
            for each in told["history"]
        )

    def _job(self) -> str:
        (job,) = running_jobs(self.cluster)
        return job


@contextmanager
def two_machines(folder: Path) -> Iterator[Machines]:
    """Start them; their files are in the folder."""
    with ExitStack() as gates, Cluster(folder, taskmanagers=0, settings=SETTINGS) as cluster:
        by_name = {}
        for name in NAMES:
            port = free_port()
            gate = gates.enter_context(Gate(port))
            settings = {
                "taskmanager.data.bind-port": port,
                "taskmanager.data.port": gate.port,  # where the other one is told to connect
                "taskmanager.resource-id": name,
            }
            by_name[name] = Machine(gate, cluster.start_taskmanager(settings))
        cluster.wait_for_slots(len(NAMES))
        yield Machines(cluster, by_name)


def staged(run: Run) -> list[Path]:
    """The delta files that no version names."""
    bodies = [manifest.body for manifest in log(run.store)]
    named = {f.sha256 for body in bodies if isinstance(body, TrainBody) for f in body.files}
    files = Path(run.store_url, "deltas").glob("*.safetensors")
    return [file for file in files if file.stem not in named]


def staged_apart(run: Run) -> bool:
    """Whether they are one shard's, all of them."""
    shards = set()
    for file in staged(run):
        with safe_open(file, "numpy") as delta:
            shards.add(delta.metadata()["shard"])
    return len(shards) == 1
