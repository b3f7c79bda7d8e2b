"""What a run needs from a Flink cluster, checked before it is submitted."""

import time
from typing import Final

from pyflink import version

from strandline.errors import EnvironmentUnfit
from strandline_flink.cluster import flink_rest
from strandline_flink.job.execution_mode import Mode, chosen
from strandline_flink.job.options import JobOptions

SLOTS_WAIT_S: Final = 10.0  # TaskManagers that just started, jobs that are just ending
POLL_S: Final = 0.2


def check_cluster(options: JobOptions) -> Mode:
    """Check the cluster at `options.flink` and choose the mode that it allows.

    Raises `EnvironmentUnfit`
        No JobManager answers, another release of Flink runs there, thread mode is asked for
        and flink-python's jar is missing, or there are too few slots.
    """
    found = flink_rest.flink_version(options.flink)
    if found != version.__version__:
        raise EnvironmentUnfit(
            f"the cluster at {options.flink} runs Flink {found}, this is PyFlink "
            f"{version.__version__}; a job fits its own release only: run the same on both"
        )
    mode = mode_on(options.flink, options.mode)
    wait_for_slots(options)
    return mode


def mode_on(address: str, asked: str) -> Mode:
    """The mode for a cluster: thread mode needs flink-python's jar in its lib folder.

    Each job would load it by itself otherwise, and a JVM cannot load its native half twice.
    """
    if flink_rest.has_python_jar(address):
        return chosen(asked)
    if asked == "thread":
        raise EnvironmentUnfit(
            f"--mode thread: the cluster at {address} has no flink-python jar in its lib folder. "
            f"Copy flink-python-{version.__version__}.jar there from Flink's opt folder on every "
            "machine and restart the cluster, or take --mode process"
        )
    if asked == "process":
        return chosen(asked)
    return Mode("process", "the cluster's lib folder has no flink-python jar")


def wait_for_slots(options: JobOptions) -> None:
    """Wait a little for free slots; those of an earlier job on the stream count as free.

    That job is superseded by the new one's open, ends, and gives its slots back.
    """
    deadline_s = time.monotonic() + SLOTS_WAIT_S
    while True:
        total, free = flink_rest.slots(options.flink)
        jobs = flink_rest.unfinished_jobs(options.flink)
        if total >= options.slots and (free >= options.slots or options.job_name in jobs):
            return
        if time.monotonic() > deadline_s:
            break
        time.sleep(POLL_S)
    holders = f", held by {', '.join(jobs[:5])}" if jobs else ""
    wanted = f"--parallelism {options.parallelism}"
    if options.shards > 1:
        wanted += f" --shards {options.shards}"
    raise EnvironmentUnfit(
        f"{wanted} needs {options.slots} free slots; the cluster at "
        f"{options.flink} has {total}, {free} of them free{holders}. Start more TaskManagers, "
        "end a job there, or ask for less"
    )
