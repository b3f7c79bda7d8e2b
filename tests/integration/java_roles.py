"""The sink's writer and committer, in Java, with the store agent that they ask, step by step."""

import json
import os
import subprocess
import sys
from collections.abc import Mapping
from typing import Any, Self

import psutil

from strandline.commit.prepared import Prepared
from strandline.store.base import Store
from strandline_flink.operators.wire import encode_prepared
from tests.integration.java_runner import command

SUBMISSION = "a" * 32


class Roles:
    """A Java process that holds one writer; every call is a step and returns its answer."""

    def __init__(
        self,
        store: Store,
        submission: str = SUBMISSION,
        *one_stream: str,
        python: str = sys.executable,
        environment: Mapping[str, str] | None = None,
    ) -> None:
        self.process = subprocess.Popen(
            command(store.url, submission, *one_stream, runner="WriterRunner", python=python),
            env={**os.environ, **(environment or {})},
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            text=True,
            bufsize=1,
        )

    def __call__(self, *step: object) -> dict[str, Any]:
        self.begin(*step)
        return self.answer()

    def begin(self, *step: object) -> None:
        """Ask for a step, without waiting for its answer."""
        assert self.process.stdin is not None
        print(*step, file=self.process.stdin, flush=True)

    def answer(self) -> dict[str, Any]:
        """The answer to the oldest step that has none."""
        assert self.process.stdout is not None
        return dict(json.loads(self.process.stdout.readline()))

    def agents(self) -> list[psutil.Process]:
        """The store agents that this Java has now."""
        return psutil.Process(self.process.pid).children()

    def write(self, prepared: Prepared) -> dict[str, Any]:
        return self("write", encode_prepared(prepared).hex())

    def epoch(self) -> tuple[list[str], str]:
        """What a barrier takes: committables in hexadecimal, and the state as JSON."""
        taken = self("epoch")
        (state,) = taken["states"]
        return taken["committables"], state

    def commit(self, committable: str, restored: int | None = None) -> dict[str, Any]:
        """What the committer makes of a committable in hexadecimal."""
        return self(*commit_step(committable, restored))

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.process.communicate(timeout=60)


def commit_step(committable: str, restored: int | None = None) -> tuple[str, str, str]:
    """The step that hands a committable to the committer of a job restored from there."""
    return "commit", "-" if restored is None else str(restored), committable


def committable(prepared: Prepared, before: dict[str, int]) -> str:
    """What the writer makes of an epoch that begins there, in hexadecimal."""
    head = json.dumps({"before": before, "run": prepared.run})
    return (head.encode() + b"\n" + prepared.encode()).hex()
