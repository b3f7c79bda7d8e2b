"""A store, topics, jobs, a compactor and a reader, moved one step at a time by numbers.

A step is an action and a number that decides everything in it, so any subset of a schedule can be
played again. Steps that make no sense at the moment do nothing.
"""

from collections import Counter
from collections.abc import Callable
from random import Random
from typing import Final, NamedTuple

from strandline.errors import (
    CommitRefused,
    StoreUnavailable,
    StrandlineError,
    VersionGone,
)
from strandline.learners.loading import make_learners
from strandline.manifest import genesis
from strandline.parameters.base import is_covered, parameters_at, read_changes
from strandline.store.chain import Verified, next_verified, read_manifest, read_verified
from strandline.tables.table import Parameters, apply_changes
from strandline.upkeep.compactor import Compactor
from strandline.upkeep.fsck import check_store
from tests.simulation.disk import Died, Disk, Fate, Mount
from tests.simulation.job import SCHEMAS, SPEC, TABLE, Checkpoint, Job, savepoint

LEARNERS: Final = make_learners(SPEC)
STREAMS: Final = {"one": (0, 1, 2), "two": (10, 11)}
"""Streams with their partitions, which are rows of the table, too."""
FAULT_SHARE: Final = 0.15
JOBS_MAX: Final = 4
RIVALS: Final = ("rival", "gap")
"""What only jobs of one run can do to each other: a job and those restored from its savepoints."""


class Violation(AssertionError):
    """A promise that was broken."""


class Step(NamedTuple):
    """An action and the number that decides what it does."""

    action: str
    number: int


class World:
    """All of it. `counts` says how often what happened."""

    def __init__(self) -> None:
        self.disk = Disk()
        self.disk.stage("spec", SPEC.to_json())
        self.disk.append(0, genesis(SPEC.sha256))
        self.ends = {p: 0 for partitions in STREAMS.values() for p in partitions}
        self.jobs: list[Job] = []
        self.savepoints: list[tuple[str, Checkpoint]] = []
        self.acknowledged: dict[int, bytes] = {}
        self.counts: Counter[str] = Counter()
        self.number = 0
        self._open_reader()

    def take(self, step: Step) -> None:
        """Take a step, and check what must hold after it."""
        rng = Random(step.number)
        self.number += 1
        ACTIONS[step.action](self, rng)
        self._read_on()

    def finish(self) -> None:
        """Nothing fails any more: a start of each stream learns what is left, and all adds up."""
        self.disk.do_later()
        for stream, partitions in STREAMS.items():
            job = self._new_job(Random(self.number), stream)
            job.begin(self.disk)
            for partition in partitions:
                job.consume(partition, self.ends[partition])
            self._checkpoint(job)
            job.complete()
            job.notify()
        self._read_on()
        self._check_end()

    def produce(self, rng: Random) -> None:
        """Events come."""
        for partition in self.ends:
            self.ends[partition] += rng.choice((0, 0, 1, 3))

    def start(self, rng: Random) -> None:
        """Somebody starts a job; those that run become zombies."""
        if len(self.jobs) < JOBS_MAX:
            job = self._new_job(rng, rng.choice([*STREAMS]))
            self.jobs.append(job)
            self._live(job, rng, job.begin)

    def restore(self, rng: Random) -> None:
        """Somebody starts a job from a savepoint, however old."""
        if self.savepoints and len(self.jobs) < JOBS_MAX:
            stream, state = rng.choice(self.savepoints)
            job = self._new_job(rng, stream)
            job.origin = state
            self.counts["restored from a savepoint"] += 1
            self.jobs.append(job)
            self._live(job, rng, job.begin)

    def read(self, rng: Random) -> None:
        """A job reads on."""
        for job in self._any(rng):
            for partition in job.partitions:
                at = job.read.get(partition, 0)
                job.consume(partition, rng.randint(at, max(at, self.ends[partition])))

    def checkpoint(self, rng: Random) -> None:
        """A barrier passes through a job."""
        for job in self._any(rng):
            if job.triggered is None:
                self._live(job, rng, lambda _, job=job: self._checkpoint(job))  # type: ignore[misc]

    def complete(self, rng: Random) -> None:
        """A checkpoint completes, or is aborted."""
        for job in self._any(rng):
            if job.triggered is not None and rng.random() < 0.2:
                self.counts["checkpoint aborted"] += 1
                job.abort()
            else:
                job.complete()

    def notify(self, rng: Random) -> None:
        """A committer is told of the last checkpoint, once more if it knew."""
        for job in self._any(rng):
            self._live(job, rng, lambda _, job=job: job.notify())  # type: ignore[misc]

    def fail(self, rng: Random) -> None:
        """A job fails and is restored by Flink."""
        for job in self._any(rng):
            self.counts["failover"] += 1
            self._live(job, rng, job.begin)

    def keep_savepoint(self, rng: Random) -> None:
        """A savepoint is kept of a job's last checkpoint."""
        for job in self._any(rng):
            if (state := savepoint(job)) is not None:
                self.savepoints.append((job.stream, state))

    def give_up(self, rng: Random) -> None:
        """A job's machine is gone for good."""
        for job in self._any(rng):
            self.jobs.remove(job)

    def compact(self, rng: Random) -> None:
        """A compactor runs, and collects."""
        mount = Mount(self.disk, rng, FAULT_SHARE)
        try:
            compactor = Compactor(
                mount, every=rng.choice((1, 2, 5)), keep_versions=rng.choice((0, 2))
            )
            compactor.run_once()
            self.counts["files collected"] += compactor.collect().files
        except (Died, StoreUnavailable):
            self.counts["compactor failed"] += 1
        self._count(mount)

    def late(self, rng: Random) -> None:
        """Calls arrive that were given up long ago."""
        self.counts["late calls"] += self.disk.do_later()

    def lose_power(self, rng: Random) -> None:
        """The machine of the store loses power; jobs fail over, readers start anew."""
        self.counts["names lost with the power"] += self.disk.lose_power()
        self.counts["power lost"] += 1
        self._open_reader()
        for job in list(self.jobs):
            self._live(job, Random(0), job.begin, share=0.0)

    def _new_job(self, rng: Random, stream: str) -> Job:
        submission = f"{self.number:016x}{rng.getrandbits(64):016x}"
        return Job(self.disk, stream, submission, rng.choice((1, 2, 3)), STREAMS[stream])

    def _any(self, rng: Random) -> list[Job]:
        alive = [job for job in self.jobs if job.open_version]
        return [rng.choice(alive)] if alive else []

    def _checkpoint(self, job: Job) -> None:
        job.barrier(job.number + 1)

    def _live(
        self, job: Job, rng: Random, act: Callable[[Mount], None], share: float = FAULT_SHARE
    ) -> None:
        """Let a job act on the store; it may die of it, end for good, or go on."""
        mount = Mount(self.disk, rng, share)
        job.store = mount
        job.committed = []
        try:
            act(mount)
        except Died:
            self.counts["job died"] += 1
            self._fail_over(job)
        except StoreUnavailable:
            self.counts["job gave up waiting"] += 1
            self._fail_over(job)
        except CommitRefused as error:
            if error.code in RIVALS and not self._shared(job):
                raise Violation(f"a job of a run of its own is refused: {error}") from error
            self.counts[error.code] += 1
            self.jobs.remove(job)
        self._count(mount)
        for version in job.committed:
            self._acknowledge(version)

    def _fail_over(self, job: Job) -> None:
        """Nothing is left of the life that died but its checkpoints."""
        job.triggered, job.moves, job.open_version = None, [], 0
        if job.completed is None and job.origin is None:
            job.pending = []
        self._live(job, Random(0), job.begin, share=0.0)

    def _shared(self, job: Job) -> bool:
        """Whether others than this job may have committed under its run."""
        run = job.run or (job.origin.run if job.origin else job.submission)
        return job.origin is not None or any(state.run == run for _, state in self.savepoints)

    def _acknowledge(self, version: int) -> None:
        data = self.disk.manifest(version)
        if data is None:
            raise Violation(f"version {version} was acknowledged and is not there")
        if self.acknowledged.setdefault(version, data) != data:
            raise Violation(f"version {version} is another one than was acknowledged")

    def _count(self, mount: Mount) -> None:
        for fate in mount.fates:
            if fate is not Fate.DONE:
                self.counts[fate.value] += 1

    def _open_reader(self) -> None:
        self._at: Verified = read_verified(self.disk, self.disk.head())
        self._tables: Parameters = parameters_at(self.disk, LEARNERS, self._at.manifest.version)

    def _read_on(self) -> None:
        """A reader takes up every version, and each must hold exactly what its positions say."""
        while (found := next_verified(self.disk, self._at)) is not None:
            try:
                changes = read_changes(self.disk, found.manifest, SCHEMAS)
            except StrandlineError as error:
                if not is_covered(self.disk, self._at.manifest.version):
                    raise Violation(f"a file of head is gone: {error}") from error
                self._open_reader()
                found = self._at
            else:
                apply_changes(self._tables, changes)
                self._at = found
            self.counts["versions"] += 1
            self._check_model()

    def _check_model(self) -> None:
        manifest = self._at.manifest
        positions = {
            int(partition): offset
            for entry in manifest.streams.values()
            for partition, offset in entry.positions.items()
            if offset
        }
        rows, values = self._tables[TABLE].items()
        counted = dict(zip(rows.tolist(), values[:, 0].tolist(), strict=True))
        if counted != positions:
            raise Violation(
                f"version {manifest.version} counts {counted} events by partition, its positions"
                f" are {positions}"
            )

    def _check_end(self) -> None:
        head = self.disk.head()
        for version, data in self.acknowledged.items():
            if version > head or self.disk.manifest(version) != data:
                raise Violation(f"version {version} was acknowledged and is lost")
        positions = {
            int(partition): offset
            for entry in read_manifest(self.disk, head).streams.values()
            for partition, offset in entry.positions.items()
        }
        if positions != self.ends:
            raise Violation(f"head stands at {positions}, the topics end at {self.ends}")
        for version in {*self.disk.bases(), head}:
            try:
                parameters_at(self.disk, LEARNERS, version)
            except VersionGone as error:
                raise Violation(f"a base cannot be opened: {error}") from error
        damages = check_store(self.disk).damages
        if damages:
            raise Violation(f"fsck finds damage: {damages}")


ACTIONS: Final[dict[str, Callable[[World, Random], None]]] = {
    "produce": World.produce,
    "start": World.start,
    "restore": World.restore,
    "read": World.read,
    "checkpoint": World.checkpoint,
    "complete": World.complete,
    "notify": World.notify,
    "fail": World.fail,
    "keep savepoint": World.keep_savepoint,
    "give up": World.give_up,
    "compact": World.compact,
    "late": World.late,
    "lose power": World.lose_power,
}
WEIGHTS: Final = {
    "produce": 8, "start": 3, "restore": 1, "read": 12, "checkpoint": 12, "complete": 12,
    "notify": 12, "fail": 2, "keep savepoint": 1, "give up": 1, "compact": 2, "late": 1,
    "lose power": 1,
}  # fmt: skip
