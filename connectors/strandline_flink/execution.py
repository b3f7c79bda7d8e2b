"""Running a built job: on a cluster, or as the child process of `strandline run`."""

import logging
import os
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Any, Final

from py4j.protocol import Py4JJavaError
from pyflink import java_gateway
from pyflink.datastream import StreamExecutionEnvironment

from strandline.errors import EnvironmentUnfit, StrandlineError
from strandline_flink.failure import (
    RUN_FOLDER,
    find_failure,
    job_lost,
    known_error,
    marked,
    write_failure,
)
from strandline_flink.options import JobOptions

POLL_S: Final = 0.1
JVM_EXIT_S: Final = 10


@contextmanager
def job_process() -> Iterator[None]:
    """Around all of a job's program: leave failures where `strandline run` finds them.

    Without `strandline run`, on a cluster's client, they end the program in one message.
    """
    folder = os.environ.get(RUN_FOLDER)
    if folder is None:
        with _one_message():
            yield
        return
    signal.signal(signal.SIGINT, signal.SIG_IGN)  # Ctrl-C reaches the parent, which decides
    logging.getLogger("py4j").setLevel(logging.CRITICAL)  # a word per handle of a dead process
    with _java_process() as started:
        try:
            yield
        except StrandlineError as error:
            write_failure(Path(folder), marked(error))
            raise
        except Exception as error:
            codes = [process.poll() for process in started]
            dead = [code for code in codes if code is not None]
            words = f"its Java process died (exit code {dead[0]})" if dead else str(error)
            print(words, file=sys.stderr)  # a Java error has no words once Java is gone
            write_failure(Path(folder), words)
            raise


def execute(env: StreamExecutionEnvironment, options: JobOptions) -> None:
    """Submit the job and wait for its end; SIGTERM cancels it. Under `flink run` leave it there.

    Raises what Flink makes of the job's failure, `EnvironmentUnfit` if the cluster lost the job.
    """
    if RUN_FOLDER not in os.environ:
        env.execute(options.job_name)  # the cluster watches over the job
        return
    try:
        execute_here(env, options.job_name)
    except Py4JJavaError as error:
        text = str(error)
        if options.flink and find_failure(text) is None and job_lost(text):
            raise EnvironmentUnfit(
                f"the JobManager at {options.flink} is gone or was restarted, and the job with it. "
                "Once it answers, the same command goes on from the store's head, exactly"
            ) from error
        raise


def execute_here(env: StreamExecutionEnvironment, name: str) -> None:
    """Submit the job below `strandline run`, whose SIGTERM cancels it, and wait for its end."""
    stop = threading.Event()
    # Before the job is there: a cluster would go on with it after this process.
    signal.signal(signal.SIGTERM, lambda *_: stop.set())
    client = env.execute_async(name)
    result = client.get_job_execution_result()
    while not result.done():
        if stop.wait(POLL_S):
            client.cancel().result()
            while not result.done():
                time.sleep(POLL_S)
            return
    result.result()


@contextmanager
def _one_message() -> Iterator[None]:
    """End with the message of an error of ours, not with the two stack traces around it."""
    try:
        yield
    except (Py4JJavaError, StrandlineError) as error:
        failure = find_failure(marked(error) if isinstance(error, StrandlineError) else str(error))
        known = None if failure is None else known_error(failure)
        if known is None:
            raise
        print(f"error: {known}", file=sys.stderr)
        sys.exit(known.exit_code)


@contextmanager
def _java_process() -> Iterator[Sequence[subprocess.Popen[bytes]]]:
    """End PyFlink's Java process with us, and read its stderr: a full pipe would stop the job.

    PyFlink starts the process with a pipe that nobody reads and forgets its handle.
    """
    launch = java_gateway.launch_gateway_server_process
    started: list[subprocess.Popen[bytes]] = []

    def launch_and_read(env: Mapping[str, str], args: Sequence[str]) -> Any:
        # A service manager sends SIGTERM to all of a run's processes: Java, which is needed to
        # cancel the job, inherits that it is ignored.
        before = signal.signal(signal.SIGTERM, signal.SIG_IGN)
        try:
            started.append(launch(env, args))
        finally:
            signal.signal(signal.SIGTERM, before)
        threading.Thread(target=_forward, args=started, daemon=True).start()
        return started[0]

    java_gateway.launch_gateway_server_process = launch_and_read
    try:
        yield started
    finally:
        java_gateway.launch_gateway_server_process = launch
        for process in started:
            if process.poll() is not None:
                continue
            # Closed first: every Java handle that Python drops later would try to reach it.
            java_gateway.get_gateway().shutdown()
            assert process.stdin is not None, "PyFlink's Java ends when this pipe is closed"
            process.stdin.close()
            with suppress(subprocess.TimeoutExpired):
                process.wait(JVM_EXIT_S)
            process.kill()


def _forward(process: subprocess.Popen[bytes]) -> None:
    assert process.stderr is not None
    for line in process.stderr:
        sys.stderr.buffer.write(line)
        sys.stderr.buffer.flush()
