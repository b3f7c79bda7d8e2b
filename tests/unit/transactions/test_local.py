"""`learn`: goes on where it ended, however it ended."""

import dataclasses
import json
from collections.abc import Iterator
from pathlib import Path

import pytest

from strandline.errors import SourceBehind, SourceRecreated, StreamContested, TooManyRejected
from strandline.manifest import TrainBody
from strandline.reading.model import open_model
from strandline.store import Store, create_store, log, read_manifest, verify_chain
from strandline.transactions.local import Summary, learn
from strandline.transactions.transaction import open_stream
from tests.jobs import Job
from tests.oracles import sequential
from tests.streams import clicks, clicks_spec

SPEC = clicks_spec(bits=12)
SOURCE = {"file": "events.jsonl"}


def bits(store: Store) -> list[bytes]:
    parameters = open_model(store)._parameters
    return [part.tobytes() for name in sorted(parameters) for part in parameters[name].items()]


def test_every_epoch_is_a_version_and_the_summary_adds_up(tmp_path: Path) -> None:
    store = create_store(str(tmp_path / "store"), SPEC)
    records = [*clicks(2400), b"no json", b""]
    steps: list[Summary] = []
    summary = learn(store, records, "events", SOURCE, epoch_events=1000, progress=steps.append)
    assert [step.version for step in steps] == [2, 3, 4]
    assert [step.events for step in steps] == [1000, 2000, 2402]
    assert steps[-1] == summary
    assert (summary.epochs, summary.learned, summary.rejected, summary.refused) == (3, 2400, 2, 0)
    assert summary.reasons == {"not_json": 1, "empty": 1}
    outcome = sequential.run(SPEC, records)
    sums = summary.prequential["ctr"]
    assert sums.log_loss is not None
    assert sums.log_loss / sums.weight == pytest.approx(outcome.log_loss("ctr"), rel=1e-4)
    assert verify_chain(store, files=True) == 4
    body = read_manifest(store, 4).body
    assert isinstance(body, TrainBody)
    assert body.rejects.file is not None
    lines = [json.loads(line) for line in store.read("rejects", body.rejects.file).splitlines()]
    assert [(line["offset"], line["reason"]) for line in lines] == [
        (2400, "not_json"),
        (2401, "empty"),
    ]


def test_the_same_call_again_learns_only_what_is_new() -> None:
    whole, parts = (create_store("memory:", SPEC) for _ in range(2))
    records = clicks(3000)
    learn(whole, records, "events", SOURCE, epoch_events=500)
    first = learn(parts, records[:1500], "events", SOURCE, epoch_events=500)
    second = learn(parts, records, "events", SOURCE, epoch_events=500)
    assert (first.skipped, first.events, second.skipped, second.events) == (0, 1500, 1500, 1500)
    third = learn(parts, records, "events", SOURCE, epoch_events=500)
    assert (third.skipped, third.epochs, third.version) == (3000, 0, parts.head())
    assert bits(whole) == bits(parts)


def test_an_interrupted_run_keeps_its_versions_and_goes_on_from_them() -> None:
    records = clicks(2000)

    def interrupted() -> Iterator[bytes]:
        yield from records[:1250]
        raise KeyboardInterrupt

    store, whole = (create_store("memory:", SPEC) for _ in range(2))
    with pytest.raises(KeyboardInterrupt):
        learn(store, interrupted(), "events", SOURCE, epoch_events=500)
    assert read_manifest(store, store.head()).streams["events"].positions == {"0": 1000}
    learn(store, records, "events", SOURCE, epoch_events=500)
    learn(whole, records, "events", SOURCE, epoch_events=500)
    assert bits(store) == bits(whole)


def test_an_interrupt_between_commits_loses_nothing() -> None:
    store = create_store("memory:", SPEC)

    def stop(_: Summary) -> None:
        raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        learn(store, clicks(1000), "events", SOURCE, epoch_events=300, progress=stop)
    summary = learn(store, clicks(1000), "events", SOURCE, epoch_events=300)
    assert (summary.skipped, summary.events) == (300, 700)


def test_a_source_that_ends_before_the_stores_position_is_refused() -> None:
    store = create_store("memory:", SPEC)
    learn(store, clicks(100), "events", SOURCE)
    with pytest.raises(SourceBehind, match="committed 100 events, the source has only 99"):
        learn(store, clicks(99), "events", SOURCE)


def test_another_file_under_the_same_stream_is_refused() -> None:
    store = create_store("memory:", SPEC)
    learn(store, clicks(100), "events", SOURCE)
    with pytest.raises(SourceRecreated):
        learn(store, clicks(200), "events", {"file": "other.jsonl"})


def test_too_many_rejected_events_end_the_run_and_keep_its_versions() -> None:
    store = create_store("memory:", SPEC)
    records = [*clicks(600), *[b"{}"] * 5000]
    with pytest.raises(TooManyRejected, match="missing_label: click"):
        learn(store, records, "events", SOURCE, epoch_events=600)
    assert read_manifest(store, store.head()).streams["events"].positions == {"0": 1200}


def test_an_unchanged_file_makes_no_version() -> None:
    store = create_store("memory:", SPEC)
    made = learn(store, clicks(100), "events", SOURCE)
    for _ in range(20):
        assert learn(store, clicks(100), "events", SOURCE) == dataclasses.replace(
            made, skipped=100, epochs=0, events=0, learned=0, prequential={}
        )
    assert store.head() == made.version == 2


def test_a_file_that_grows_is_learned_as_often_as_somebody_asks() -> None:
    store = create_store("memory:", SPEC)
    for count in range(1, 20):
        learn(store, clicks(count), "events", SOURCE, clock_ms=lambda: 1_700_000_000_000)
    assert read_manifest(store, store.head()).streams["events"].positions == {"0": 19}


def test_what_another_run_commits_before_the_open_is_not_learned_again() -> None:
    store = create_store("memory:", SPEC)
    records = clicks(300)
    learn(store, records[:100], "events", SOURCE)

    def beside() -> Iterator[bytes]:
        yield from records[:100]
        learn(store, records[:200], "events", SOURCE)
        yield from records[100:]

    summary = learn(store, beside(), "events", SOURCE)
    assert (summary.skipped, summary.events) == (200, 100)


def test_a_start_that_is_refused_as_contested_takes_over_if_told_to() -> None:
    store = create_store("memory:", SPEC)
    for _ in range(8):
        open_stream(store, "events", SOURCE)
    with pytest.raises(StreamContested, match="--takeover"):
        learn(store, clicks(1), "events", SOURCE)
    assert learn(store, clicks(1), "events", SOURCE, takeover=True).learned == 1


def test_an_epoch_holds_an_event_at_least() -> None:
    with pytest.raises(ValueError, match="epoch_events is 0"):
        learn(create_store("memory:", SPEC), clicks(1), "events", SOURCE, epoch_events=0)


def test_no_records_make_no_version_but_the_open() -> None:
    store = create_store("memory:", SPEC)
    summary = learn(store, [], "events", SOURCE)
    assert (summary.version, summary.epochs, store.head()) == (1, 0, 1)


def test_a_job_of_workers_and_a_local_run_make_the_same_bodies() -> None:
    """One worker on one partition: only the checkpoint's number tells the two apart."""
    store, local = (create_store("memory:", SPEC) for _ in range(2))
    job = Job(store)
    for begin in range(0, 3000, 1000):
        job.epoch({0: clicks(3000)[begin : begin + 1000]})
        job.commit()
    learn(local, clicks(3000), "events", {}, epoch_events=1000)
    assert bits(store) == bits(local)
    for mine, theirs in zip(log(store), log(local), strict=True):
        if isinstance(mine.body, TrainBody) and isinstance(theirs.body, TrainBody):
            assert mine.body.counts == theirs.body.counts
            assert mine.body.deltas == theirs.body.deltas
            assert mine.body.prequential == theirs.body.prequential
            assert mine.body.files[0].rows == theirs.body.files[0].rows
