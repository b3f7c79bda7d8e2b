"""How Flink runs the job: the settings that the exactly-once protocol stands on."""

import os
import sys
from pathlib import Path
from typing import Any, Final

from pyflink.common import Configuration
from pyflink.datastream import CheckpointingMode, StreamExecutionEnvironment
from pyflink.java_gateway import get_gateway

import strandline
from strandline_flink import jars
from strandline_flink.cluster.flink_rest import has_python_jar
from strandline_flink.cluster.lib_folder import python_jar
from strandline_flink.cluster.run_folder import RunFolder
from strandline_flink.failure import RUN_FOLDER
from strandline_flink.job.execution_mode import Mode, chosen
from strandline_flink.job.options import PARALLELISM_MAX, JobOptions
from strandline_flink.job.topology import java, job_python, one_interpreter

CHECKPOINT_TIMEOUT: Final = "120 s"
# A failed checkpoint is retried with the next one: a slow store is no reason to start over.
FAILED_CHECKPOINTS_MAX: Final = 1000
RESTARTS_MAX: Final = 10
RESTARTS_MAX_FOLLOWED: Final = 100
RESTARTS_MAX_HERE: Final = 2**31 - 1
# Elements that wait for a Python process, as files in memory: blocks of up to 2 MiB.
BUNDLE_ELEMENTS_MAX: Final = 8


def environment(options: JobOptions) -> StreamExecutionEnvironment:
    """Make the job's environment: a cluster's with `--flink` and under `flink run`, else local."""
    mode = chosen(options.mode)
    print(f"strandline: {mode.name} mode: {mode.why}", file=sys.stderr)
    configuration = Configuration()
    for key, value in (place_settings(options) | settings(options, mode)).items():
        configuration.set_string(key, str(value))
    if options.flink:
        env = remote_environment(options.flink, configuration)
    else:
        env = StreamExecutionEnvironment.get_execution_environment(configuration)
    env.set_parallelism(options.parallelism)
    env.add_jars(*(jar.as_uri() for jar in shipped_jars(options)))
    check_guarantees(env)
    if RUN_FOLDER in os.environ and not options.flink:  # what this JVM will need, it starts now
        java().StoreAgent.ahead(job_python(env), options.store_url, strandline.__version__)
        if one_interpreter(env):
            java().PythonAhead.start(sys.executable)
    return env


def shipped_jars(options: JobOptions) -> list[Path]:
    """What the job brings along: nothing to a JVM of its own, which has it on its class path."""
    if RUN_FOLDER in os.environ and not options.flink:
        return []
    python = [] if not options.flink or has_python_jar(options.flink) else [python_jar()]
    return [*jars.paths("connector"), jars.compiled(), *python]


def place_settings(options: JobOptions) -> dict[str, Any]:
    """What depends on where the job runs; `flink run` brings that with it."""
    folder = os.environ.get(RUN_FOLDER)
    if folder is None:
        return {}
    if options.flink:
        return {
            "python.client.executable": sys.executable,
            "python.executable": options.python or sys.executable,
        }
    page = {"strandline.rest": "page"} if options.flink_page else {}
    return RunFolder(Path(folder)).flink_configuration() | page


def remote_environment(address: str, configuration: Configuration) -> StreamExecutionEnvironment:
    """An environment that submits to the JobManager with this REST interface."""
    host, _, port = address.rpartition(":")
    gateway = get_gateway()
    remote = gateway.jvm.org.apache.flink.streaming.api.environment.StreamExecutionEnvironment
    no_jars = gateway.new_array(gateway.jvm.String, 0)
    return StreamExecutionEnvironment(
        remote.createRemoteEnvironment(host, int(port), configuration._j_configuration, no_jars)
    )


def settings(options: JobOptions, mode: Mode) -> dict[str, Any]:
    """Flink's configuration of the job. What belongs to the machine is its own."""
    checkpointing = "execution.checkpointing"
    restart = "restart-strategy"
    return {
        f"{checkpointing}.mode": "EXACTLY_ONCE",
        f"{checkpointing}.unaligned.enabled": "false",
        f"{checkpointing}.interval": f"{options.checkpoint_ms} ms",
        f"{checkpointing}.min-pause": f"{options.checkpoint_ms // 2} ms",
        f"{checkpointing}.max-concurrent-checkpoints": 1,
        f"{checkpointing}.timeout": CHECKPOINT_TIMEOUT,
        f"{checkpointing}.tolerable-failed-checkpoints": FAILED_CHECKPOINTS_MAX,
        f"{restart}.type": "exponential-delay",
        f"{restart}.exponential-delay.initial-backoff": "200 ms",
        f"{restart}.exponential-delay.max-backoff": "10 s",
        f"{restart}.exponential-delay.backoff-multiplier": 2.0,
        f"{restart}.exponential-delay.reset-backoff-threshold": "2 min",
        f"{restart}.exponential-delay.attempts-before-reset-backoff": restarts_max(options),
        "execution.runtime-mode": "STREAMING",
        # The same at any parallelism: a restore with another one needs it.
        "pipeline.max-parallelism": PARALLELISM_MAX,
        "pipeline.object-reuse": "true",
        "python.execution-mode": mode.name,
        "python.fn-execution.bundle.size": BUNDLE_ELEMENTS_MAX,
        "python.metric.enabled": "false",
    }


def restarts_max(options: JobOptions) -> int:
    """How often Flink restarts a job that fails again and again.

    `strandline run` itself gives up after a few failures that are alike, and waits for a store
    that is away, whose absence fails the job now and then. On a cluster a job can outlive it.
    """
    if RUN_FOLDER not in os.environ:
        return RESTARTS_MAX
    return RESTARTS_MAX_FOLLOWED if options.flink else RESTARTS_MAX_HERE


def check_guarantees(env: StreamExecutionEnvironment) -> None:
    """A barrier must never overtake a delta: the job is not built otherwise."""
    config = env.get_checkpoint_config()
    assert env.get_checkpointing_mode() == CheckpointingMode.EXACTLY_ONCE
    assert not config.is_unaligned_checkpoints_enabled()
    assert config.get_max_concurrent_checkpoints() == 1
    assert config.is_checkpointing_enabled()
