"""The process that `strandline run` starts: a job's program, and the Java that it drives.

python -m strandline_flink.job.job_process jobs/train.py ARGUMENTS
"""

import logging
import os
import runpy
import signal
import subprocess
import sys
import threading
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Any, Final

from pyflink import java_gateway

from strandline.errors import StrandlineError
from strandline_flink.failure import RUN_FOLDER, marked, write_failure
from strandline_flink.job.gateway import launch_gateway

JVM_EXIT_S: Final = 10


def main(program: str) -> None:
    """Run the program; leave failures where `strandline run` finds them."""
    folder = Path(os.environ[RUN_FOLDER])
    signal.signal(signal.SIGINT, signal.SIG_IGN)  # Ctrl-C reaches the parent, which decides
    # A service manager sends SIGTERM to all of a run's processes. Java, which is needed to cancel
    # the job, ignores it: what is forked with Python code before its program, as PyFlink does it.
    os.register_at_fork(after_in_child=lambda: signal.signal(signal.SIGTERM, signal.SIG_IGN))
    logging.getLogger("py4j").setLevel(logging.CRITICAL)  # a word per handle of a dead process
    with java_process() as started:
        try:
            runpy.run_path(program, run_name="__main__")
        except StrandlineError as error:
            write_failure(folder, marked(error))
            raise
        except Exception as error:
            codes = [process.poll() for process in started]
            dead = [code for code in codes if code is not None]
            words = f"its Java process died (exit code {dead[0]})" if dead else str(error)
            print(words, file=sys.stderr)  # a Java error has no words once Java is gone
            write_failure(folder, words)
            raise


@contextmanager
def java_process() -> Iterator[Sequence[subprocess.Popen[bytes]]]:
    """Start PyFlink's Java process, beside us, and end it with us; yields what was started.

    PyFlink starts it with a pipe that nobody reads and forgets its handle: a full pipe would stop
    the job. It would wait for it, too, which the program's imports, as long, need not.
    """
    launch = java_gateway.launch_gateway_server_process
    started: list[subprocess.Popen[bytes]] = []
    launched = threading.Event()

    def launch_and_read(env: Mapping[str, str], args: Sequence[str]) -> Any:
        started.append(launch(env, args))
        launched.set()
        threading.Thread(target=_forward, args=(started[-1],), daemon=True).start()
        return started[-1]

    def start() -> None:
        try:
            java_gateway.get_gateway()
        finally:
            launched.set()

    java_gateway.launch_gateway_server_process = launch_and_read
    java_gateway.launch_gateway = launch_gateway
    starting = threading.Thread(target=start, daemon=True)
    starting.start()
    launched.wait()  # no import goes on while a process with Python threads is forked
    try:
        yield started
    finally:
        starting.join()  # else what comes next would start Java anew where its start fails
        java_gateway.launch_gateway_server_process = launch
        for process in started:
            if process.poll() is not None:
                continue
            # It ends when it cannot call Python back. A handle that Python drops is not sent then.
            java_gateway.get_gateway().shutdown()
            with suppress(subprocess.TimeoutExpired):
                process.wait(JVM_EXIT_S)
            process.kill()


def _forward(process: subprocess.Popen[bytes]) -> None:
    assert process.stderr is not None
    for line in process.stderr:
        sys.stderr.buffer.write(line)
        sys.stderr.buffer.flush()


if __name__ == "__main__":
    del sys.argv[0]
    main(sys.argv[0])
