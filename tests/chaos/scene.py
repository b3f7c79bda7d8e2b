"""What faults happen to: a broker, a topic with events, a run that a supervisor keeps alive."""

import os
import random
import signal
import subprocess
import sys
import time
from collections.abc import Callable
from contextlib import suppress
from pathlib import Path
from typing import Final, Self, TypeVar

import psutil

from strandline.spec import Spec
from strandline.store import create_store
from strandline_flink.dev.broker import Broker
from tests.integration.harness import Run, reap
from tests.integration.live import Producing
from tests.streams import CLICKS

TOPIC: Final = "chaos"
RECOVERS_WITHIN_S: Final = 180.0
POLL_S: Final = 0.05
SIZES: Final = ((1, 1), (2, 1), (2, 2), (3, 2))
"""Workers and shards that a start may have."""


R = TypeVar("R", bound=Run)


class NoRecovery(AssertionError):
    """No new version in a long time."""


class Supervised(Run):
    """A run whose words go to a file, and that may have ended at any time."""

    def start(self) -> Self:
        """Start it."""
        with self._words.open("ab") as file:
            self._process = subprocess.Popen(
                [sys.executable, "-m", "strandline.cli", *self.arguments],
                stdout=file,
                stderr=file,
                text=True,
                start_new_session=True,
            )
        return self

    @property
    def _words(self) -> Path:
        return self.folder / "words.txt"

    def has_ended(self) -> bool:
        """Whether its command has ended."""
        return self._process is None or self._process.poll() is not None

    def kill_rest(self) -> None:
        """SIGKILL to what is left of it."""
        if self._process is not None:
            with suppress(ProcessLookupError):
                os.killpg(self.pid, signal.SIGKILL)
            self._process.wait()
            reap(self.pid)

    def last_words(self) -> str:
        """The end of what all runs in this folder have said."""
        return self._words.read_text("utf-8", "replace")[-2000:] if self._words.exists() else ""


class Scene:
    """A run on a topic, started again whenever it has ended, as a supervisor does.

    Attributes
    ----------
    starts
        How often the run was started.
    """

    def __init__(self, broker: Broker, folder: Path, rng: random.Random, mode: str) -> None:
        self.broker, self.rng, self._folder, self._mode = broker, rng, folder, mode
        broker.create_topic(TOPIC, 2)
        self.producing = Producing(broker, TOPIC)
        self.run = self._new_run(Supervised)
        self.store = create_store(self.run.store_url, Spec.parse(CLICKS))
        self.starts = 0
        self._started: list[Supervised] = []

    def start(self) -> None:
        """Start the run, with any number of workers and shards."""
        self.run = self._new_run(Supervised).start()
        self._started.append(self.run)
        self.starts += 1

    def keep_alive(self) -> None:
        """Start it again if it has ended."""
        if self.run.has_ended():
            self.run.kill_rest()
            self.start()

    def wait_for_more(self, versions: int) -> float:
        """Wait until so many versions were made from now on; return how many seconds it took."""
        begun_s, wanted = time.monotonic(), self.store.head() + versions
        while self.store.head() < wanted:
            self.keep_alive()
            if time.monotonic() - begun_s > RECOVERS_WITHIN_S:
                raise NoRecovery(
                    f"no version within {RECOVERS_WITHIN_S:g} s: {self.run.last_words()}"
                )
            time.sleep(POLL_S)
        return time.monotonic() - begun_s

    def pause(self, least_s: float, most_s: float) -> None:
        """Let a random time pass."""
        time.sleep(self.rng.uniform(least_s, most_s))

    def any_process(self, wanted: Callable[[psutil.Process], bool]) -> psutil.Process | None:
        """Return one of the run's processes, its own included; None if none is as wanted."""
        found: list[psutil.Process] = []
        with suppress(psutil.NoSuchProcess):
            found = [psutil.Process(self.run.pid), *self.run.processes()]
        alive = []
        for process in found:
            with suppress(psutil.NoSuchProcess):
                if process.is_running() and wanted(process):
                    alive.append(process)
        return self.rng.choice(alive) if alive else None

    def finish(self) -> None:
        """Learn what is left of the topic, and end."""
        self.run.kill_rest()
        with self._new_run(Run, "--bounded") as last:
            last.summary()

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        for run in self._started:
            run.kill_rest()

    def _new_run(self, kind: type[R], *options: str) -> R:
        workers, shards = self.rng.choice(SIZES)
        sizes = (f"--parallelism={workers}", f"--shards={shards}", f"--mode={self._mode}")
        return kind(self.broker.bootstrap, TOPIC, self._folder, *sizes, *options)


def log(text: str) -> None:
    """Say what happens, as it happens."""
    sys.stderr.write(f"{time.strftime('%H:%M:%S')} {text}\n")
    sys.stderr.flush()
