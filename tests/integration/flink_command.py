"""A job that is submitted and stopped with Flink's own command, as on a cluster without ours."""

import re
import subprocess
import time
from collections.abc import Callable
from pathlib import Path
from typing import Self

from strandline_flink.cluster import flink_rest
from strandline_flink.cluster.lib_folder import FLINK_HOME
from strandline_flink.dev.broker import Broker
from strandline_flink.dev.cluster import Cluster
from strandline_flink.launch.run import train_script
from tests.integration.harness import Learning, ends
from tests.streams import CLICKS

TIMEOUT_S = 120
POLL_S = 0.05
ENDED = ("FINISHED", "CANCELED", "FAILED")
# For a cluster whose restores are counted: a process that is only slow is not taken for lost.
PATIENT = {"heartbeat.timeout": 60_000}


class FlinkCommand(Learning):
    """`flink run`, `savepoint`, `stop` and `cancel` for jobs on one topic and one store.

    As a context manager it leaves no job of its own behind.
    """

    def __init__(self, cluster: Cluster, broker: Broker, topic: str, folder: Path) -> None:
        self._cluster, self._broker, self._topic = cluster, broker, topic
        self._savepoints = folder / "savepoints"
        self._jobs: list[str] = []
        self.store_url = str(folder / "store")
        spec = folder / "spec.toml"
        spec.write_text(CLICKS)
        self._arguments = ["--spec", str(spec), "--store", self.store_url, "--topic", topic]
        self._arguments += ["--bootstrap", broker.bootstrap]

    def run(self, *options: str, savepoint: str = "", checkpoint: str = "200ms") -> str:
        """Submit a job; its id."""
        out = self._submit(["-d"], savepoint, checkpoint, options)
        found = re.search(r"JobID ([0-9a-f]{32})", out)
        assert found is not None, out
        self._jobs.append(found[1])
        return found[1]

    def refused(self, savepoint: str) -> str:
        """Submit a job that ends in error, and wait for it; what is printed."""
        return self._submit([], savepoint, "200ms", (), fails=True)

    def savepoint(self, job: str) -> str:
        """Take a savepoint and let the job go on; the savepoint's address."""
        self.wait_until("all tasks", lambda: self._all_run(job))
        return self._made(flink(self._cluster, "savepoint", job, str(self._savepoints)))

    def stop(self, job: str, *options: str) -> str:
        """Stop the job with a savepoint; the savepoint's address."""
        return self._made(flink(self._cluster, "stop", "-p", str(self._savepoints), *options, job))

    def cancel(self, job: str) -> None:
        """End the job with nothing more."""
        flink(self._cluster, "cancel", job)
        self.wait_for_end(job)

    def wait_for_end(self, job: str) -> str:
        """Wait until the job has ended; in what state."""
        self.wait_until("the job's end", lambda: self.state(job) in ENDED)
        return self.state(job)

    def state(self, job: str) -> str:
        return str(flink_rest.ask(self._cluster.address, f"jobs/{job}")["state"])

    def failure(self, job: str) -> str:
        """Why the job ended, as Flink tells it."""
        told = flink_rest.ask(self._cluster.address, f"jobs/{job}/exceptions")
        return str(told["exceptionHistory"]["entries"][0]["stacktrace"])

    def wait_for_open(self) -> None:
        """Wait for the first version of a store."""
        self.wait_until("the open", lambda: self.head() >= 1)

    def wait_for_all(self) -> None:
        """Wait until all events of the topic are in versions."""
        self.wait_for_events(ends(self._broker, self._topic))

    def wait_until(self, what: str, holds: Callable[[], bool]) -> None:
        deadline_s = time.monotonic() + TIMEOUT_S
        while not holds():
            assert time.monotonic() < deadline_s, f"{what} took too long"
            time.sleep(POLL_S)

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        for job in self._jobs:
            if self.state(job) not in ENDED:
                self.cancel(job)

    def _all_run(self, job: str) -> bool:
        vertices = flink_rest.ask(self._cluster.address, f"jobs/{job}")["vertices"]
        return {vertex["status"] for vertex in vertices} == {"RUNNING"}

    def _submit(
        self,
        how: list[str],
        savepoint: str,
        checkpoint: str,
        options: tuple[str, ...],
        *,
        fails: bool = False,
    ) -> str:
        restore = ["-s", savepoint] if savepoint else []
        arguments = [*self._arguments, "--checkpoint", checkpoint, *options]
        script = ["-py", str(train_script()), *arguments]
        return flink(self._cluster, "run", *how, *restore, *script, fails=fails)

    def _made(self, out: str) -> str:
        found = re.search(r"Path: (\S+)", out)
        assert found is not None, out
        return found[1]


def flink(cluster: Cluster, action: str, *arguments: str, fails: bool = False) -> str:
    """Run Flink's command against the cluster, and see that it succeeds or fails; its words."""
    result = subprocess.run(
        [FLINK_HOME / "bin" / "flink", action, "-m", cluster.address, *arguments],
        env=cluster.environment(),
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
        check=False,
        timeout=TIMEOUT_S,
    )
    assert (result.returncode != 0) == fails, result.stdout
    return result.stdout


def running_jobs(cluster: Cluster) -> list[str]:
    """The ids of the cluster's jobs that run."""
    jobs = flink_rest.ask(cluster.address, "jobs/overview")["jobs"]
    return [job["jid"] for job in jobs if job["state"] == "RUNNING"]
