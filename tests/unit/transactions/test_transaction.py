"""The library's own transactions: a commit is whole or not at all, and two runs cannot both win."""

from pathlib import Path

import numpy as np
import pytest

from strandline.errors import (
    DeltaDamaged,
    MergeError,
    Rival,
    SourceRecreated,
    StoreUnavailable,
    StrandlineError,
    Superseded,
)
from strandline.features import Decoder
from strandline.learners.loading import empty_parameters, make_learners
from strandline.manifest import FileRef, TrainBody
from strandline.reading.model import open_model
from strandline.store import MemoryStore, Store, create_store, open_store, read_manifest
from strandline.store.base import FileKind
from strandline.tables.changes import Changes
from strandline.transactions import transaction as transactions
from strandline.transactions.transaction import open_stream
from tests.oracles import sequential
from tests.streams import clicks, clicks_spec

SPEC = clicks_spec(bits=12)


def bits(store: Store) -> list[bytes]:
    parameters = open_model(store)._parameters
    return [part.tobytes() for name in sorted(parameters) for part in parameters[name].items()]


def test_a_commit_is_one_version_of_all_that_was_learned() -> None:
    store = create_store("memory:", SPEC)
    stream = open_stream(store, "backfill", {"file": "a.jsonl"}, clock_ms=lambda: 1234)
    with stream.begin() as transaction:
        transaction.learn(clicks(100, 1))
        transaction.learn(clicks(50, 2))
        assert store.head() == 1
    assert (stream.version, store.head(), stream.position) == (2, 2, 150)
    manifest = read_manifest(store, 2)
    assert (manifest.kind, manifest.time_ms) == ("train", 1234)
    entry = manifest.streams["backfill"]
    assert (entry.positions, entry.seqs, entry.source) == (
        {"0": 150},
        {"0": 1},
        {"file": "a.jsonl"},
    )
    assert isinstance(manifest.body, TrainBody)
    assert (manifest.body.checkpoint, manifest.body.event_time_ms) == (None, (0, 0))
    assert manifest.body.deltas[0].spans == [(0, 0, 150)]


def test_a_rolled_back_transaction_leaves_no_trace_in_what_follows() -> None:
    plain, rolled = (create_store("memory:", SPEC) for _ in range(2))
    for store in (plain, rolled):
        stream = open_stream(store, "events")
        with stream.begin() as transaction:
            transaction.learn(clicks(300, 1))
        if store is rolled:
            stream.begin().rollback()  # before the worker has met the version just committed
            undone = stream.begin()
            undone.learn(clicks(5000, 2))
            undone.rollback()
            prepared = stream.begin()
            prepared.learn(clicks(70, 3))
            prepared.prepare()
            prepared.rollback()
        with stream.begin() as transaction:
            transaction.learn(clicks(300, 4))
        assert (stream.version, stream.position) == (3, 600)
    assert bits(plain) == bits(rolled)
    assert read_manifest(rolled, 3).streams["events"].seqs == {"0": 2}


def test_an_exception_in_the_block_rolls_back() -> None:
    store = create_store("memory:", SPEC)
    stream = open_stream(store, "events")
    with pytest.raises(KeyboardInterrupt), stream.begin() as transaction:  # noqa: PT012
        transaction.learn(clicks(10))
        raise KeyboardInterrupt
    assert (store.head(), stream.position) == (1, 0)
    with stream.begin() as transaction:
        transaction.learn(clicks(10))
    assert store.head() == 2


def test_nothing_learned_is_nothing_committed() -> None:
    store = create_store("memory:", SPEC)
    stream = open_stream(store, "events")
    assert stream.begin().commit() == 1
    with stream.begin() as transaction:
        transaction.learn([])
    assert (stream.version, store.head()) == (1, 1)


def test_another_streams_commit_in_between_adds() -> None:
    store = create_store("memory:", SPEC)
    one, two = open_stream(store, "one"), open_stream(store, "two")
    first = one.begin()
    first.learn(clicks(100, 1))
    first.prepare()
    with two.begin() as second:
        second.learn(clicks(100, 2))
    assert first.commit() == 4
    counted = sequential.run(SPEC, [*clicks(100, 1), *clicks(100, 2)]).counts["popularity"]
    rows, values = open_model(store)._parameters["popularity.counts"].items()
    assert dict(zip(rows.tolist(), map(tuple, values.tolist()), strict=True)) == counted


def test_a_run_that_was_taken_over_cannot_commit() -> None:
    store = create_store("memory:", SPEC)
    zombie = open_stream(store, "events")
    transaction = zombie.begin()
    transaction.learn(clicks(10))
    open_stream(store, "events")
    with pytest.raises(Superseded):
        transaction.commit()
    with pytest.raises(StrandlineError, match="has ended"):
        transaction.commit()
    assert store.head() == 2


def test_a_commit_of_the_same_events_by_the_same_run_is_a_rival(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """The same run opened twice can only be a copy of one process, as a snapshot of a machine."""
    store = create_store("memory:", SPEC)
    monkeypatch.setattr(transactions, "new_submission", lambda _: "5" * 32)
    one, two = open_stream(store, "events"), open_stream(store, "events")
    assert one.run == two.run
    with one.begin() as transaction:
        transaction.learn(clicks(10, 1))
    other = two.begin()
    other.learn(clicks(10, 2))
    with pytest.raises(Rival):
        other.commit()


class Unanswered(MemoryStore):
    """Loses the answer to the next append, after it was carried out."""

    lose = False

    def append(self, version: int, manifest: bytes) -> bool:
        made = super().append(version, manifest)
        if self.lose:
            self.lose = False
            raise StoreUnavailable("no answer")
        return made


def test_a_commit_whose_answer_was_lost_is_repeated_and_made_once() -> None:
    store = Unanswered()
    origin = create_store("memory:", SPEC)
    assert isinstance(origin, MemoryStore)
    store._files, store._versions = origin._files, origin._versions
    stream = open_stream(store, "events")
    transaction = stream.begin()
    transaction.learn(clicks(10))
    store.lose = True
    with pytest.raises(StoreUnavailable):
        transaction.commit()
    with pytest.raises(StrandlineError, match="a transaction is open"):
        stream.begin()
    assert transaction.commit() == 2
    with stream.begin() as another:
        another.learn(clicks(10, 1))
    assert (store.head(), stream.position) == (3, 20)


class Full(MemoryStore):
    """Cannot stage while it is full."""

    full = False

    def stage(self, kind: FileKind, data: bytes) -> FileRef:
        if self.full:
            raise StoreUnavailable("no space")
        return super().stage(kind, data)


def test_a_prepare_that_fails_rolls_back_and_the_stream_goes_on() -> None:
    store = Full()
    origin = create_store("memory:", SPEC)
    assert isinstance(origin, MemoryStore)
    store._files, store._versions = origin._files, origin._versions
    stream = open_stream(store, "events")
    transaction = stream.begin()
    transaction.learn(clicks(10))
    store.full = True
    with pytest.raises(StoreUnavailable, match="no space"):
        transaction.commit()
    store.full = False
    with stream.begin() as again:
        again.learn(clicks(10))
    plain = create_store("memory:", SPEC)
    with open_stream(plain, "events").begin() as transaction:
        transaction.learn(clicks(10))
    assert bits(store) == bits(plain)
    assert read_manifest(store, 2).streams["events"].seqs == {"0": 1}


def test_a_staged_file_of_a_dead_attempt_is_used() -> None:
    """The same epoch prepared twice has one file; the second attempt commits it."""
    store = create_store("memory:", SPEC)
    assert isinstance(store, MemoryStore)
    stream = open_stream(store, "events")
    dead = stream.begin()
    dead.learn(clicks(10))
    dead.prepare()
    dead.rollback()
    transaction = stream.begin()
    transaction.learn(clicks(10))
    transaction.prepare()
    assert sum(kind == "delta" for kind, _ in store._files) == 1
    assert transaction.commit() == 2


def test_changes_made_elsewhere_take_one_position_without_events() -> None:
    store = create_store("memory:", SPEC)
    stream = open_stream(store, "warm-start")
    change = Changes(np.array([3, 9], np.uint32), np.array([[1, 2], [3, 4]], np.float32))
    with stream.begin() as transaction:
        transaction.prepare({"ctr.zn": change})
    model = open_model(store)
    np.testing.assert_array_equal(model._parameters["ctr.zn"].gather(change.rows), change.values)
    body = read_manifest(store, 2).body
    assert isinstance(body, TrainBody)
    assert (body.counts.events, body.deltas, stream.position) == (0, [], 1)
    with stream.begin() as transaction:
        transaction.learn(clicks(10))
    assert stream.position == 11


def test_changes_of_a_learner_that_stood_on_another_version_are_added_to_the_rows_at_hand() -> None:
    """What the learner says its rows were before is of its version, not of the merger's."""
    store = create_store("memory:", SPEC)
    stream = open_stream(store, "warm-start")
    with stream.begin() as transaction:
        transaction.learn(clicks(50))
    elsewhere = make_learners(SPEC)["ctr"]
    elsewhere.bind(empty_parameters({"ctr": elsewhere}))
    elsewhere.learn(Decoder(SPEC).decode(clicks(50, 2))[0])
    with stream.begin() as transaction:
        transaction.prepare(elsewhere.take_delta())
    with stream.begin() as transaction:
        transaction.learn(clicks(50, 3))
    replica = stream._merger._replica
    assert replica is not None
    mine, published = replica.local["ctr.zn"], open_model(store)._parameters["ctr.zn"]
    for one, other in zip(mine.items(), published.items(), strict=True):
        np.testing.assert_array_equal(one, other, strict=True)


def test_handed_in_changes_that_overflow_are_refused_again_and_again() -> None:
    """By the rows as published, not as a merger met them before what was given up."""
    store = create_store("memory:", SPEC)
    streams = [open_stream(store, name) for name in ("one", "other")]
    half = {"ctr.zn": Changes(np.array([3], np.uint32), np.full((1, 2), 2e38, np.float32))}
    with streams[0].begin() as transaction:
        transaction.prepare(half)
    for stream in streams * 2:
        with pytest.raises(MergeError, match="row 3 would become"), stream.begin() as transaction:
            transaction.prepare(half)
    assert store.head() == 3, "two opens and one commit"


def test_what_is_handed_in_is_pending_until_it_is_published_and_no_longer() -> None:
    stream = open_stream(create_store("memory:", SPEC), "backfill")
    for row in range(3):
        change = Changes(np.array([row], np.uint32), np.ones((1, 2), np.float32))
        with stream.begin() as transaction:
            transaction.prepare({"ctr.zn": change})
        replica = stream._merger._replica
        assert replica is not None
        assert len(replica.pending) == 1


def test_changes_that_do_not_fit_the_spec_are_refused() -> None:
    stream = open_stream(create_store("memory:", SPEC), "warm-start")
    wrong = {"other": Changes(np.array([3], np.uint32), np.ones((1, 2), np.float32))}
    with pytest.raises(DeltaDamaged, match="'other': the spec has only"), stream.begin() as txn:
        txn.prepare(wrong)
    both = stream.begin()
    both.learn(clicks(1))
    with pytest.raises(StrandlineError, match="learned 1 events and got a delta as well"):
        both.prepare(wrong)


def test_calls_out_of_order_say_what_to_do() -> None:
    stream = open_stream(create_store("memory:", SPEC), "events")
    transaction = stream.begin()
    transaction.learn(clicks(5))
    transaction.prepare()
    with pytest.raises(StrandlineError, match="is prepared; commit it or roll it back"):
        transaction.learn(clicks(5))
    transaction.commit()
    for call in (transaction.commit, transaction.rollback, transaction.prepare):
        with pytest.raises(StrandlineError, match="has ended; begin another"):
            call()


def test_a_stream_goes_on_from_the_source_it_began_with() -> None:
    store = create_store("memory:", SPEC)
    open_stream(store, "events", {"file": "a.jsonl"})
    with pytest.raises(SourceRecreated, match=r"a\.jsonl.*b\.jsonl.*another name"):
        open_stream(store, "events", {"file": "b.jsonl"})


def test_a_stream_goes_on_in_another_process(tmp_path: Path) -> None:
    url = str(tmp_path / "store")
    with open_stream(create_store(url, SPEC), "events").begin() as transaction:
        transaction.learn(clicks(20))
    again = open_stream(open_store(url), "events")
    assert (again.version, again.position) == (3, 20)
    with again.begin() as transaction:
        transaction.learn(clicks(20, 1))
    assert read_manifest(open_store(url), 4).streams["events"].seqs == {"0": 2}
