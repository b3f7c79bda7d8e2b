"""The simulator's model of a job and the Java roles make the same versions of the same histories.

A model proves nothing if it is wrong. Both get the same steps, and epochs prepared in the same way:
one asks the store itself, the other is Java's writer and committer with their store agent.
"""

from collections.abc import Callable
from pathlib import Path
from random import Random
from typing import Any

import msgspec
import pytest

from strandline.commit.prepared import Prepared
from strandline.errors import CommitRefused
from strandline.manifest import TrainBody
from strandline.store import Store, create_store
from strandline.store.chain import log, read_manifest
from tests.integration.java_roles import Roles
from tests.simulation.job import SPEC, Checkpoint, Epoch, Job

STREAM = "events"
PARTITIONS = (0, 1, 2)
Script = list[tuple[str, int]]


class JavaJob(Job):
    """A job whose sink is Java's."""

    def _begin_fresh(self) -> None:
        super()._begin_fresh()
        self._new_roles()
        assert self._roles("fresh") == {}

    def _restore(self, state: Checkpoint) -> None:
        self._new_roles()
        self.pending = list(state.pending)
        self._commit_up_to(state.number, state.number)
        check(self._roles("restored", state.number, self._states[state.number]))
        entry = read_manifest(self.store, self.store.head()).streams[self.stream]
        self.run, self.open_version, self.restored = state.run, entry.open, state.number
        self.read, self.written = dict(state.read), dict(state.written)

    def barrier(self, number: int) -> None:
        before = len(self.pending)
        moved = bool(self.moves)
        super().barrier(number)  # prepares; what it makes of that is replaced by what Java does
        text = self.pending.pop()[1].prepared if moved else self._nothing().encode().decode()
        check(self._roles.write(Prepared.decode(text.encode())))
        committables, state = self._roles.epoch()
        assert len(committables) == moved
        self.pending += [(number, Epoch({}, each)) for each in committables]
        assert len(self.pending) == before + moved
        self._states[number] = state
        self.triggered = Checkpoint(
            number, self.run, dict(self.read), dict(self.written), tuple(self.pending)
        )

    def close(self) -> None:
        """End the Java process, if there is one."""
        if hasattr(self, "_roles"):
            self._roles.process.kill()
            self._roles.process.communicate(timeout=60)

    def _new_roles(self) -> None:
        self.close()
        if not hasattr(self, "_states"):
            self._states: dict[int, str] = {}
        self._roles = Roles(self.store, self.submission)

    def _commit_up_to(self, number: int, restored: int | None) -> None:
        while self.pending and self.pending[0][0] <= number:
            check(self._roles.commit(self.pending[0][1].prepared, restored))
            self.pending.pop(0)

    def _nothing(self) -> Prepared:
        body = {
            "checkpoint": self.number,
            "counts": {"events": 0, "learned": 0, "refused": 0, "rejected": 0},
            "deltas": [], "empty": [], "event_time_ms": [0, 0], "files": [],
            "prequential": {}, "rejects": {"file": None, "reasons": {}},
        }  # fmt: skip
        return Prepared(
            run=self.run, start=self.open_version, moves=(), seqs={}, time_ms=self.number,
            body=msgspec.convert(body, TrainBody),
        )  # fmt: skip


def check(answer: dict[str, Any]) -> None:
    """Raise what the model raises where Java ends the job."""
    assert "restart" not in answer, answer
    if "fatal" in answer:
        refused = CommitRefused(answer["fatal"])
        refused.code = answer["fatal"].split("[")[1].split("]")[0]  # type: ignore[misc]
        raise refused


def play(kind: type[Job], store: Store, script: Script) -> tuple[Job, str | None]:
    """Let a job live through a script; return it, and the code that it was refused with."""
    job = kind(store, STREAM, "a" * 32, 2, PARTITIONS)
    refused = None
    try:
        job.begin(store)
        for step, number in script:
            take(job, step, number)
    except CommitRefused as error:
        refused = error.code
    finally:
        if isinstance(job, JavaJob):
            job.close()
    return job, refused


def take(job: Job, step: str, number: int) -> None:
    acts: dict[str, Callable[[], object]] = {
        "read": lambda: job.consume(number % 3, job.read.get(number % 3, 0) + 1 + number % 5),
        "barrier": lambda: None if job.triggered else job.barrier(job.number + 1),
        "complete": job.complete,
        "abort": job.abort,
        "notify": job.notify,
        "fail": lambda: job.begin(job.store),
        "taken over": lambda: taken_over(job),
    }
    acts[step]()


def taken_over(job: Job) -> None:
    """Another submission takes the stream over; it is the model in both cases."""
    Job(job.store, STREAM, "b" * 32, 1, PARTITIONS).begin(job.store)


def line(store: Store) -> list[tuple[Any, ...]]:
    """What versions say, but for the wall clock of opens and what depends on it."""
    said = []
    for manifest in log(store, newest_first=False):
        entries = {
            name: (entry.run, entry.open, entry.positions, entry.seqs)
            for name, entry in manifest.streams.items()
        }
        said.append((manifest.kind, entries, manifest.committable))
    return said


SCRIPTS: dict[str, Script] = {
    "an epoch is committed": [("read", 4), ("barrier", 0), ("complete", 0), ("notify", 0)],
    "a checkpoint aborts, the next one commits both, and both are committed again": [
        *[("read", 4), ("barrier", 0), ("abort", 0), ("read", 3), ("read", 2), ("barrier", 0)],
        *[("complete", 0), ("notify", 0), ("fail", 0), ("read", 1), ("barrier", 0)],
        *[("complete", 0), ("notify", 0)],
    ],
    "nobody is told of a checkpoint that completed, and the job fails": [
        *[("read", 4), ("barrier", 0), ("complete", 0), ("read", 2), ("barrier", 0), ("fail", 0)],
        *[("read", 2), ("barrier", 0), ("complete", 0), ("notify", 0), ("notify", 0)],
    ],
    "a failure before the first checkpoint": [
        *[("read", 4), ("fail", 0), ("read", 3), ("barrier", 0), ("complete", 0), ("notify", 0)]
    ],
    "another run takes over before the commit": [
        *[("read", 4), ("barrier", 0), ("complete", 0), ("taken over", 0), ("notify", 0)]
    ],
    "another run takes over before the restore": [
        *[("read", 4), ("barrier", 0), ("complete", 0), ("notify", 0)],
        *[("taken over", 0), ("fail", 0)],
    ],
}


def drawn(seed: int) -> Script:
    rng = Random(seed)
    steps = ("read", "read", "barrier", "barrier", "complete", "complete", "notify", "abort")
    script = [(rng.choice(steps), rng.randrange(100)) for _ in range(40)]
    for place in (13, 29):
        script[place] = ("fail", 0)
    return script


@pytest.mark.parametrize("script", SCRIPTS.values(), ids=SCRIPTS)
def test_the_model_and_java_make_the_same_versions(script: Script, tmp_path: Path) -> None:
    check_alike(script, tmp_path)


@pytest.mark.long
@pytest.mark.parametrize("seed", range(4))
def test_the_model_and_java_make_the_same_versions_of_drawn_histories(
    seed: int, tmp_path: Path
) -> None:
    check_alike(drawn(seed), tmp_path)


def check_alike(script: Script, folder: Path) -> None:
    stores = [create_store(str(folder / name), SPEC) for name in ("model", "java")]
    model, java = (play(k, s, script) for k, s in zip((Job, JavaJob), stores, strict=True))
    assert model[1] == java[1]
    assert line(stores[0]) == line(stores[1])
    assert model[0].read == java[0].read
