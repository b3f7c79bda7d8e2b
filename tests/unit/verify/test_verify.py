"""Training again gives the bits of every version, and an altered one is found."""

import dataclasses
import json
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pytest

from strandline.errors import SourceBehind, WrongUsage
from strandline.events.block import Block
from strandline.learners.counts import Counts
from strandline.learners.loading import make_learners, schemas_of
from strandline.parameters.delta import DeltaFile
from strandline.spec import Spec
from strandline.store import MemoryStore, Store, create_store, log
from strandline.tables.changes import Changes, TableDelta
from strandline.transactions.local import learn
from strandline.transactions.transaction import open_stream
from strandline.upkeep.compactor import Compactor
from strandline.upkeep.fsck import check_store
from strandline.verify.events import RecordSource
from strandline.verify.plan import HANDED_IN, NO_EVENTS, RETENTION
from strandline.verify.replay import verify
from tests import faulty_learner
from tests.forging import Fields, forged
from tests.jobs import Job, Records, block
from tests.plugins import install
from tests.streams import clicks, clicks_spec

SPEC = clicks_spec(bits=12)
SCHEMAS = schemas_of(make_learners(SPEC))
SOURCE = {"file": "events.ndjson"}
FADING = Spec.parse(
    """
name = "fading"
label.path = "click"
features.user.kind = "category"
features.item.kind = "category"
learners.ctr = {type = "ftrl", bits = 10, merge = "mean"}
learners.recent = {type = "counts", feature = "item", half_life_s = 60.0}
learners.linear = {type = "sklearn", bits = 8, estimator = {name = "SGDRegressor"}}
"""
)


FAULTY = """
name = "faulty"
label.path = "y"
features.item.kind = "category"
learners.sums = {type = "faulty", feature = "item"}
learners.seen = {type = "counts", feature = "item"}
"""


class Partitions:
    """Events of several partitions, in memory."""

    def __init__(self, records: dict[int, list[bytes]], begin: int = 0) -> None:
        self.records, self._begin = records, begin

    def begin(self, partition: int) -> int:
        return self._begin

    def blocks(self, partition: int, first: int, end: int) -> Iterator[Block]:
        for at in range(first, end, 333):
            yield block(partition, at, self.records[partition][at : min(end, at + 333)])


def file_of(records: Records) -> dict[str, RecordSource]:
    return {"events": RecordSource(iter(records), "events.ndjson")}


def trained_job(
    spec: Spec, *, workers: int = 2, shards: int = 1, keep: int = 0
) -> tuple[Store, Partitions]:
    """A job of eight epochs, commits `keep` epochs late, rescaled after the fourth."""
    store = create_store("memory:", spec)
    streams = {p: [*clicks(2000, p), b"no json"] * 2 for p in range(2)}
    positions = {"0": 0, "1": 0}
    for run, count in ((1, workers), (2, 3 - workers)):
        job = Job(store, count, run=run, shards=shards, positions=positions)
        for _ in range(4):
            part = {p: streams[p][job.read[str(p)] :][:500] for p in (0, 1)}
            job.epoch(part)
            job.commit(keep=keep)
        job.commit()
    return store, Partitions(streams)


@pytest.mark.parametrize("keep", [0, 2])
@pytest.mark.parametrize("shards", [1, 3])
@pytest.mark.parametrize("workers", [1, 2])
def test_a_sound_store_of_a_job_verifies(workers: int, shards: int, keep: int) -> None:
    store, events = trained_job(SPEC, workers=workers, shards=shards, keep=keep)
    verdict = verify(store, {"events": events})
    assert verdict.difference is None
    assert (verdict.versions, verdict.events, verdict.given) == (8, 8000, {})


def test_learners_whose_rules_do_not_commute_verify() -> None:
    store, events = trained_job(FADING, keep=1)
    verdict = verify(store, {"events": events})
    assert verdict.difference is None
    assert verdict.versions == 8


def test_a_file_that_was_learned_verifies() -> None:
    store, records = create_store("memory:", SPEC), clicks(3000)
    learn(store, records, "events", SOURCE, epoch_events=700)
    verdict = verify(store, file_of(records))
    assert (verdict.difference, verdict.versions, verdict.events) == (None, 5, 3000)


def test_an_altered_delta_in_a_forged_chain_is_found_with_its_row() -> None:
    store, events = trained_job(SPEC)

    def alter(copy: MemoryStore, fields: Fields) -> None:
        if fields["version"] != 4:
            return
        (file,) = fields["body"]["files"]
        delta = DeltaFile.decode(copy.read("delta", file["sha256"]), SCHEMAS)
        change = delta.changes["ctr.zn"]
        values = change.values.copy()
        values[7, 0] = np.nextafter(values[7, 0], np.float32(9))
        changes = delta.changes | {"ctr.zn": Changes(change.rows, values)}
        ref = copy.stage("delta", dataclasses.replace(delta, changes=changes).encode(SCHEMAS))
        file |= {"sha256": ref.sha256, "bytes": ref.bytes}
        rows.append(int(change.rows[7]))

    rows: list[int] = []
    copy = forged(store, alter)
    assert check_store(copy).damages == []
    found = verify(copy, {"events": events}).difference
    assert found is not None
    assert (found.version, found.learner, found.table, found.row) == (4, "ctr", "zn", rows[0])
    assert found.recorded != found.trained


def test_an_altered_event_is_found_at_its_version() -> None:
    store, records = create_store("memory:", SPEC), clicks(3000)
    learn(store, records, "events", SOURCE, epoch_events=700)
    records[1500] = (
        records[1500]
        .replace(b'"click": true', b'"click": false')
        .replace(b'"price": ', b'"price": 1')
    )
    found = verify(store, file_of(records)).difference
    assert found is not None
    assert (found.version, found.learner) == (4, "ctr")  # 2 has 0 to 699, 3 to 1399


def test_an_event_that_is_rejected_otherwise_is_found() -> None:
    store, records = create_store("memory:", SPEC), [*clicks(100), b"no json"]
    learn(store, records, "events", SOURCE)
    records[100] = b"other json"
    found = verify(store, file_of(records)).difference
    assert found is not None
    assert found.what.startswith("rejects")


def test_spans_shifted_in_a_forged_chain_are_found() -> None:
    store, events = trained_job(SPEC)

    def shift(_: MemoryStore, fields: Fields) -> None:
        if fields["version"] == 3:
            fields["body"]["deltas"][0]["spans"][-1][2] -= 1
        if fields["version"] == 4:
            fields["body"]["deltas"][0]["spans"][0][1] -= 1
        if fields["version"] == 3:
            fields["streams"]["events"]["positions"]["0"] -= 1

    found = verify(forged(store, shift), {"events": events}).difference
    assert found is not None
    assert found.version == 3


def test_a_learner_with_a_fault_is_found(monkeypatch: pytest.MonkeyPatch) -> None:
    store, events = trained_job(SPEC)
    learned = Counts.take_delta

    def faulty(self: Counts) -> dict[str, TableDelta]:
        return {
            name: dataclasses.replace(delta, values=delta.values + (delta.rows[:, None] % 7 == 0))
            for name, delta in learned(self).items()
        }

    monkeypatch.setattr(Counts, "take_delta", faulty)
    found = verify(store, {"events": events}).difference
    assert found is not None
    assert (found.version, found.learner, found.table) == (2, "popularity", "counts")


@pytest.mark.parametrize("keep", [0, 2])
def test_a_range_trains_before_it_only_what_was_pending(keep: int) -> None:
    store, events = trained_job(FADING, keep=keep)
    whole = verify(store, {"events": events}).events
    verdict = verify(store, {"events": events}, first=9, last=10)
    assert (verdict.difference, verdict.versions) == (None, 2)
    assert verdict.events < whole
    late = verify(store, {"events": events}, first=4, last=4)
    assert (late.difference, late.versions) == (None, 1)
    assert late.events == (3000 if keep else 1000)  # what was pending in versions 2 and 3


def test_versions_whose_events_are_gone_are_taken_as_they_are() -> None:
    store, events = trained_job(SPEC)
    verdict = verify(store, {"events": Partitions(events.records, begin=900)})
    assert verdict.difference is None
    assert verdict.given == {RETENTION: 2}
    assert (verdict.versions, verdict.complete_from) == (6, 4)


def test_versions_that_compaction_closed_are_taken_as_they_are(tmp_path: Path) -> None:
    store, records = create_store(str(tmp_path / "store"), SPEC), clicks(3000)
    compactor = Compactor(store, every=2, keep_versions=0)
    learn(store, records[:1500], "events", SOURCE, epoch_events=500)
    compactor.run_once()
    learn(store, records, "events", SOURCE, epoch_events=500)
    assert compactor.collect().files
    verdict = verify(store, file_of(records))
    assert verdict.difference is None
    assert 0 < verdict.versions < 6
    assert sum(verdict.given.values()) == 6 - verdict.versions


def test_changes_that_a_program_committed_are_taken_as_they_are() -> None:
    store, records = create_store("memory:", SPEC), clicks(300)
    stream = open_stream(store, "events", SOURCE)
    with stream.begin() as transaction:
        transaction.learn(records[:100])
    rows = np.array([5], np.uint64)
    with stream.begin() as transaction:
        transaction.prepare({"popularity.counts": Changes(rows, np.array([[3, 1]], np.int64))})
    with stream.begin() as transaction:
        transaction.learn(records[101:])
    verdict = verify(store, file_of(records))
    assert verdict.difference is None
    assert (verdict.versions, verdict.given) == (2, {HANDED_IN: 1})


def test_a_second_stream_that_cannot_be_read_is_taken_as_it_is() -> None:
    store, records = create_store("memory:", SPEC), clicks(900)
    stream, other = open_stream(store, "events", SOURCE), open_stream(store, "other")
    for begin in range(0, 900, 300):
        for each in (stream, other):
            with each.begin() as transaction:
                transaction.learn(records[begin : begin + 300])
    verdict = verify(store, file_of(records))
    assert verdict.difference is None
    assert (verdict.versions, verdict.given) == (3, {NO_EVENTS: 3})


def test_an_aborted_checkpoint_leaves_two_cuts_in_a_version() -> None:
    store, records = create_store("memory:", SPEC), {p: clicks(600, p) for p in range(2)}
    job = Job(store, 2, shards=2)
    for _ in range(2):
        for begin in (0, 150):
            for p in range(2):
                job.feed(p, records[p][job.read[str(p)] :][: 100 + begin])
            for p in range(2):
                job.mark(p)
            if begin == 0:
                for shard in range(2):
                    job.cut_shard(shard)
        job.cut()
        job.commit()
    verdict = verify(store, {"events": Partitions(records)})
    assert (verdict.difference, verdict.versions) == (None, 2)


def test_an_epoch_that_was_learned_again_comes_out_the_same(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    install(monkeypatch, tmp_path, "faulty", {"faulty": "tests.faulty_learner:FaultySpec"})
    labels = {137: faulty_learner.NAN_CHANGE, 210: faulty_learner.RAISES}
    records = [
        json.dumps({"y": labels.get(n, n % 2), "item": f"i{n % 7}"}).encode() for n in range(300)
    ]
    store = create_store("memory:", Spec.parse(FAULTY))
    learn(store, records, "events", SOURCE, epoch_events=100)
    reasons = [each.body.rejects.reasons for each in log(store) if hasattr(each.body, "rejects")]
    assert reasons == [{"unlearnable": 1}, {"unlearnable": 1}, {}]
    assert verify(store, file_of(records)).difference is None


def test_a_range_that_the_store_does_not_hold_is_refused() -> None:
    store = create_store("memory:", SPEC)
    with pytest.raises(WrongUsage, match="expected a range within 0 to 0"):
        verify(store, {}, first=3)


def test_a_file_that_is_too_short_is_refused() -> None:
    store, records = create_store("memory:", SPEC), clicks(300)
    learn(store, records, "events", SOURCE)
    with pytest.raises(SourceBehind, match=r"has 200 events, the store has learned 300"):
        verify(store, file_of(records[:200]))
