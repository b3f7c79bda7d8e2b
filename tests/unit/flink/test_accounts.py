"""What operators say of their epochs, against the deltas and files that they speak of."""

import json

import pytest

from strandline.learning.merger import CutTimes
from strandline.store import create_store
from strandline_flink.operators import accounts, wire
from tests.jobs import Job
from tests.streams import clicks, clicks_spec


def test_a_workers_and_the_mergers_account_say_what_delta_and_file_hold() -> None:
    job = Job(create_store("memory:", clicks_spec()))
    job.feed(0, [*clicks(50), b"{", None])
    delta = job.mark(0)
    of_worker = accounts.of_worker("events", 7, delta, learn_ms=3)
    counts = {"events": 52, "learned": 50, "rejected": 2, "refused": 0}
    assert of_worker.counts.items() >= counts.items()
    rows = sum(len(table.rows) for table in delta.tables.values())
    assert of_worker.counts["delta_rows"] == rows > 50
    assert of_worker.counts["delta_bytes"] > 8 * rows
    assert of_worker.gauges == {"epoch": 7, "adopted": job.start, "learn_ms": 3}
    prepared = job.cut_shard(0)
    of_merger = accounts.of_merger("events", 7, prepared, job.merger.times)
    (file,) = prepared.files
    assert of_merger.of == {"stream": "events", "run": job.run, "shard": 0}
    assert of_merger.counts == {"delta_rows": rows, "delta_bytes": file.bytes}
    assert of_merger.gauges["adopted"] == job.start


def test_a_refused_delta_counts_as_refused(monkeypatch: pytest.MonkeyPatch) -> None:
    job = Job(create_store("memory:", clicks_spec()))
    monkeypatch.setattr("strandline.learning.attempt.DELTA_BYTES_MAX", 10)
    monkeypatch.setattr("strandline.learning.epoch.RELEARN_BYTES_MAX", 10)
    job.feed(0, [*clicks(50), b"{"])
    account = accounts.of_worker("events", 7, job.mark(0), learn_ms=0)
    assert account.counts == {
        "events": 51,
        "learned": 0,
        "rejected": 1,
        "refused": 50,
        "delta_rows": 0,
        "delta_bytes": 0,
    }
    account = accounts.of_merger("events", 7, job.cut_shard(0), CutTimes())
    assert account.counts == {"delta_rows": 0, "delta_bytes": 0}
    assert account.gauges["adopted"] == job.start


def test_an_account_on_the_wire_keeps_the_order_of_its_words() -> None:
    account = accounts.Account(
        operator="worker", of={"stream": "s", "worker": 0}, counts={"b": 1, "a": 2}, gauges={}
    )
    element = wire.encode_account(account)
    assert wire.kind(element) == wire.ACCOUNT
    assert list(json.loads(element[1:])) == ["operator", "of", "counts", "gauges"]
    assert element.index(b'"b"') < element.index(b'"a"')


def test_a_stopwatch_adds_up_and_begins_again() -> None:
    watch = accounts.Stopwatch()
    watch._spent_ns = 2_999_999
    with watch:
        pass
    assert watch.take_ms() in (2, 3)
    assert watch.take_ms() == 0
