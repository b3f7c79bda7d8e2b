"""From a kill to the first new version that holds events, with a producer at a set rate all along.

- job: the whole process group of `strandline run` on this machine, and the same command again
- taskmanager: the one that runs the job on a cluster, with a spare one or with one started then
"""

import tempfile
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any, Final

import psutil

from bench.figures import summary
from bench.job import Job
from bench.output import cell, finish, parser, progress, table
from bench.traffic import Traffic, prepared
from strandline_flink.cluster import flink_rest
from strandline_flink.dev.broker import Broker
from strandline_flink.dev.cluster import Cluster
from strandline_flink.job.execution_mode import chosen

RATE: Final = 5_000  # events per second
PARTITIONS: Final = 4
CHECKPOINT: Final = "--checkpoint=200ms"
SETTLED_VERSIONS: Final = 10  # before the next kill
MODES: Final = ("thread", "process")
BRIEF: Final = (("job", "thread"),)

Step = Callable[[], None]


def main() -> None:
    """Kill, wait, repeat; report."""
    arguments = parser(__doc__)
    arguments.add_argument("--kills", type=int, default=10, help="of each kind")
    arguments.add_argument("--only", default="", help="a kind, a mode, or both: spare thread")
    args = arguments.parse_args()
    kinds = BRIEF if args.brief else [(k, m) for k in ("job", "spare", "none") for m in MODES]
    rows: list[dict[str, Any]] = []
    with tempfile.TemporaryDirectory(prefix="strandline-bench-") as name:
        folder = Path(name)
        prepared(folder / "traffic")
        with Broker(folder / "broker") as broker:
            for kind, mode in kinds:
                if not set(args.only.split()) <= {kind, mode} or mode != chosen(mode).name:
                    continue
                progress(f"{kind}, {mode} mode")
                measure = job_killed if kind == "job" else taskmanager_killed
                where = folder / f"{kind}-{mode}"
                found = measure(broker, where, f"--mode={mode}", 1 if args.brief else args.kills)
                rows.append({"killed": kind, "mode": mode, **found})
    finish("recovery", {"rows": rows}, to_table(rows), args)


def job_killed(broker: Broker, folder: Path, mode: str, kills: int) -> dict[str, Any]:
    """Kill a local run and type its command again."""
    broker.create_topic(folder.name, PARTITIONS)
    job = Job(folder, broker.bootstrap, folder.name, CHECKPOINT, mode)

    def kill() -> None:
        job.kill()
        job.start()

    return killed_again(job, kill, kills)


def taskmanager_killed(broker: Broker, folder: Path, mode: str, kills: int) -> dict[str, Any]:
    """Kill the TaskManager that runs the job."""
    taskmanagers = 2 if folder.name.startswith("spare") else 1
    broker.create_topic(folder.name, PARTITIONS)
    with Cluster(folder / "flink", taskmanagers=taskmanagers) as cluster:

        def kill() -> None:
            victim = busy(cluster)
            victim.kill()
            victim.wait()
            if taskmanagers == 1:
                cluster.start_taskmanager()

        def replace() -> None:  # once the spare one has taken over: it needs the processors
            if taskmanagers > 1:
                cluster.start_taskmanager()
                cluster.wait_for_slots(taskmanagers)

        where = f"--flink={cluster.address}"
        job = Job(folder, broker.bootstrap, folder.name, CHECKPOINT, mode, where)
        return killed_again(job, kill, kills, replace)


def busy(cluster: Cluster) -> Any:
    """Return the process whose slot is taken: known by a port that it listens at."""
    for found in flink_rest.ask(cluster.address, "taskmanagers")["taskmanagers"]:
        for process in cluster.taskmanagers:
            open_ports = psutil.Process(process.pid).net_connections("tcp")
            ports = {connection.laddr[1] for connection in open_ports}
            if not found["freeSlots"] and found["dataPort"] in ports:
                cluster.taskmanagers.remove(process)
                return process
    raise RuntimeError("no TaskManager runs the job")


def killed_again(job: Job, kill: Step, kills: int, then: Step = lambda: None) -> dict[str, Any]:
    """Return seconds from each kill to the open and to the first version after it."""
    opened: list[float] = []
    recovered: list[float] = []
    bootstrap, topic = job.source
    with job, Traffic(bootstrap, topic, RATE, job.folder.parent / "traffic"):
        version = job.wait_for_trained(0, SETTLED_VERSIONS)
        for _ in range(kills):
            killed_s, head = time.time(), job.store.head(version)
            kill()
            opening = job.wait_for_open(head)
            version = job.wait_for_trained(opening)
            opened.append(round(made_s(job, opening) - killed_s, 2))
            recovered.append(round(made_s(job, version) - killed_s, 2))
            progress(f"open after {opened[-1]} s, version after {recovered[-1]} s")
            then()
            version = job.wait_for_trained(job.store.head(version), SETTLED_VERSIONS)
        job.stop()
    return {
        "open_s": summary(opened),
        "version_s": summary(recovered),
        "version_p95_s": sorted(recovered)[-(-95 * kills // 100) - 1],
        "versions_s": recovered,
    }


def made_s(job: Job, version: int) -> float:
    """Return when a version was made, in seconds since 1970."""
    name = f"{version:010d}"
    return (Path(job.store.url) / "versions" / name[:7] / f"{name}.json").stat().st_ctime


def to_table(rows: list[dict[str, Any]]) -> str:
    """Return the Markdown table."""
    words = {
        "job": "the job's processes, same command again",
        "spare": "a TaskManager, a spare one running",
        "none": "a TaskManager, one started after it",
    }
    return table(
        ["killed", "mode", "stream open again, s", "first new version, s", "p95, s"],
        [
            [
                words[row["killed"]],
                row["mode"],
                cell(row["open_s"], ".1f"),
                cell(row["version_s"], ".1f"),
                f"{row['version_p95_s']:.1f}",
            ]
            for row in rows
        ],
    )


if __name__ == "__main__":
    main()
