"""The simulator finds bugs of the protocol that are planted on purpose, and makes them short."""

from collections.abc import Callable
from typing import Any

import msgspec
import pytest

from strandline.commit import committing, opening
from strandline.manifest import parse_manifest
from strandline.parameters import base
from strandline.store import MemoryStore
from strandline.upkeep import compactor, garbage
from tests.simulation.disk import Disk
from tests.simulation.job import Job
from tests.simulation.schedules import play, schedule, shortened

SEEDS_MAX = 1500
Patch = pytest.MonkeyPatch


def a_superseded_run_commits(patch: Patch) -> None:
    sound = committing.decide

    def decide(head: int, read: Any, wanted: Any) -> Any:
        entry = parse_manifest(read(head)).streams[wanted.stream]
        return sound(head, read, msgspec.structs.replace(wanted, run=entry.run))

    patch.setattr(committing, "decide", decide)


def a_commit_does_not_compare_positions(patch: Patch) -> None:
    patch.setattr(committing, "compare", lambda here, there: (False, False))
    patch.setattr(committing, "check_follows", lambda *_: None)


def a_commit_that_was_made_before_is_not_recognised(patch: Patch) -> None:
    patch.setattr(committing, "_find_mine", lambda *_: None)


def numbers_are_not_exclusive(patch: Patch) -> None:
    def append(store: MemoryStore, version: int, manifest: bytes) -> bool:
        store._versions[version] = bytes(manifest)
        return True

    patch.setattr(MemoryStore, "append", append)


def an_acknowledged_version_is_not_durable(patch: Patch) -> None:
    def append(disk: Disk, version: int, manifest: bytes) -> bool:
        there = version in disk._versions
        disk.show_version(version, manifest)
        return not there

    patch.setattr(Disk, "append", append)


def a_savepoint_is_restored_wherever_the_store_stands(patch: Patch) -> None:
    patch.setattr(opening, "_refuse_restore", lambda *_: None)


def a_start_does_not_go_on_where_the_store_stands(patch: Patch) -> None:
    sound = Job.begin

    def begin(job: Job, store: Any) -> None:
        sound(job, store)
        if job.completed is None and job.origin is None:
            job.read = dict.fromkeys(job.read, 0)

    patch.setattr(Job, "begin", begin)


def files_of_commits_in_doubt_are_collected(patch: Patch) -> None:
    patch.setattr(garbage, "is_settled", lambda *_: True)


def data_goes_that_no_base_covers(patch: Patch) -> None:
    patch.setattr(compactor.Compactor, "_oldest_kept", lambda self: self._store.head())


def a_base_holds_a_version_twice(patch: Patch) -> None:
    sound = base.encode_base

    def encode(version: int, manifest: bytes, parameters: Any) -> bytes:
        for table in parameters.values():
            rows, values = table.items()
            table.add(rows, values)
        return sound(version, manifest, parameters)

    patch.setattr(compactor, "encode_base", encode)


BUGS: list[Callable[[Patch], None]] = [
    a_superseded_run_commits,
    a_commit_does_not_compare_positions,
    a_commit_that_was_made_before_is_not_recognised,
    numbers_are_not_exclusive,
    an_acknowledged_version_is_not_durable,
    a_savepoint_is_restored_wherever_the_store_stands,
    a_start_does_not_go_on_where_the_store_stands,
    files_of_commits_in_doubt_are_collected,
    data_goes_that_no_base_covers,
    a_base_holds_a_version_twice,
]


@pytest.mark.parametrize("bug", BUGS, ids=lambda bug: bug.__name__)
def test_a_planted_bug_is_found(bug: Callable[[Patch], None], monkeypatch: Patch) -> None:
    bug(monkeypatch)
    seed = next((s for s in range(SEEDS_MAX) if play(schedule(s)).broken is not None), None)
    assert seed is not None, f"not within {SEEDS_MAX} schedules"
    short = shortened(schedule(seed))
    assert play(short).broken is not None
    assert len(short) < len(schedule(seed)) / 2
