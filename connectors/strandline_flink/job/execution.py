"""Running a built job: on a cluster, or as the child process of `strandline run`."""

import os
import signal
import sys
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Final

from py4j.protocol import Py4JJavaError
from pyflink.datastream import StreamExecutionEnvironment

from strandline.errors import EnvironmentUnfit, StrandlineError
from strandline_flink.failure import (
    RUN_FOLDER,
    find_failure,
    job_lost,
    known_error,
    marked,
)
from strandline_flink.job.handle import leave_handle
from strandline_flink.job.options import JobOptions

POLL_S: Final = 0.1


@contextmanager
def one_message() -> Iterator[None]:
    """On a cluster's client, end with the message of an error of ours, not with its stack traces.

    Below `strandline run`, which has that message from `job_process`, change nothing.
    """
    try:
        yield
    except (Py4JJavaError, StrandlineError) as error:
        if RUN_FOLDER in os.environ:
            raise
        failure = find_failure(marked(error) if isinstance(error, StrandlineError) else str(error))
        known = None if failure is None else known_error(failure)
        if known is None:
            raise
        print(f"error: {known}", file=sys.stderr)
        sys.exit(known.exit_code)


def execute(env: StreamExecutionEnvironment, options: JobOptions) -> None:
    """Submit the job and wait for its end; SIGTERM cancels it. Under `flink run` leave it there.

    Raises what Flink makes of the job's failure, `EnvironmentUnfit` if the cluster lost the job.
    """
    if RUN_FOLDER not in os.environ:
        env.execute(options.job_name)  # the cluster watches over the job
        return
    try:
        execute_here(env, options)
    except Py4JJavaError as error:
        text = str(error)
        if options.flink and find_failure(text) is None and job_lost(text):
            raise EnvironmentUnfit(
                f"the JobManager at {options.flink} is gone or was restarted, and the job with it. "
                "Once it answers, the same command goes on from the store's head, exactly"
            ) from error
        raise


def execute_here(env: StreamExecutionEnvironment, options: JobOptions) -> None:
    """Submit the job below `strandline run`, whose SIGTERM cancels it, and wait for its end."""
    stop = threading.Event()
    # Before the job is there: a cluster would go on with it after this process.
    signal.signal(signal.SIGTERM, lambda *_: stop.set())
    client = env.execute_async(options.job_name)
    leave_handle(Path(os.environ[RUN_FOLDER]), client, options.flink)
    result = client.get_job_execution_result()
    while not result.done():
        if stop.wait(POLL_S):
            client.cancel().result()
            while not result.done():
                time.sleep(POLL_S)
            return
    result.result()
