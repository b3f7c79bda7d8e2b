"""`strandline run` as a user starts it, for benches that watch its store."""

import os
import signal
import subprocess
import sys
import time
from collections.abc import Callable
from contextlib import suppress
from pathlib import Path
from typing import Final, Self

from strandline.errors import EnvironmentUnfit
from strandline.manifest import OpenBody, TrainBody
from strandline.spec import Spec
from strandline.store import Store, create_store, read_manifest
from strandline_flink.dev.events import clicks_spec
from strandline_flink.processes.children import dying_with_parent

TIMEOUT_S: Final = 120.0
END_S: Final = 60.0
POLL_S: Final = 0.005


class Job:
    """A job on the click events, in a process group of its own; it can be started again.

    Parameters
    ----------
    folder
        Holds the store, the spec, the log; made if it is not there.
    bootstrap, topic
        Where the events come from.
    options
        More arguments of `strandline run`.
    """

    def __init__(self, folder: Path, bootstrap: str, topic: str, *options: str) -> None:
        self.folder = folder
        self.source = (bootstrap, topic)
        spec = folder / "clicks.toml"
        (folder / "tmp").mkdir(parents=True, exist_ok=True)
        spec.write_text(clicks_spec())
        self.store: Store = create_store(str(folder / "store"), Spec.parse(clicks_spec()))
        self._command = [
            *(sys.executable, "-m", "strandline.cli", "run", str(spec), "--json"),
            *("--bootstrap", bootstrap, "--topic", topic, "--store", self.store.url),
            *options,
        ]
        self._process: subprocess.Popen[bytes] | None = None

    def start(self) -> None:
        """Start the command."""
        with (self.folder / "job.log").open("ab") as log:
            self._process = subprocess.Popen(
                dying_with_parent(self._command),
                stdin=subprocess.DEVNULL,
                stdout=log,
                stderr=log,
                env={**os.environ, "TMPDIR": str(self.folder / "tmp")},
                start_new_session=True,
            )

    def kill(self) -> None:
        """End all of it at once, as when its container is gone."""
        if self._process is not None:
            with suppress(ProcessLookupError):
                os.killpg(self._process.pid, signal.SIGKILL)
            self._process.wait()

    def stop(self) -> None:
        """Ask it to end, and wait until it has."""
        assert self._process is not None, "start() first"
        self._process.terminate()
        code = self._process.wait(END_S)
        if code:
            raise EnvironmentUnfit(f"the job ended with {code}; see {self.folder / 'job.log'}")

    def wait_until(self, what: str, holds: Callable[[], bool]) -> None:
        """Wait while the job goes on."""
        deadline_s = time.monotonic() + TIMEOUT_S
        while not holds():
            assert self._process is not None, "start() first"
            if self._process.poll() is not None or time.monotonic() > deadline_s:
                raise EnvironmentUnfit(f"no {what}; see {self.folder / 'job.log'}")
            time.sleep(POLL_S)

    def wait_for_trained(self, after: int, versions: int = 1) -> int:
        """Wait for so many versions with events that are newer than `after`; the last one's."""
        for _ in range(versions):
            after = self._wait_for(TrainBody, after)
        return after

    def wait_for_open(self, after: int) -> int:
        """Wait for the first version newer than `after` that opens the stream."""
        return self._wait_for(OpenBody, after)

    def _wait_for(self, kind: type[TrainBody] | type[OpenBody], after: int) -> int:
        seen, found = after, False

        def holds() -> bool:
            nonlocal seen, found
            while not found and seen < self.store.head(seen):
                seen += 1
                found = isinstance(read_manifest(self.store, seen).body, kind)
            return found

        self.wait_until(f"{kind.__name__} after version {after}", holds)
        return seen

    def __enter__(self) -> Self:
        self.start()
        return self

    def __exit__(self, *_: object) -> None:
        self.kill()
