"""No event costs others: what cannot be learned is rejected alone, and the rest is learned."""

import json
from pathlib import Path
from typing import Any

import pytest
from sklearn.linear_model import SGDRegressor

from strandline.errors import TooManyRejected
from strandline.learning import epoch as epochs
from strandline.manifest import TrainBody
from strandline.reading.model import open_model
from strandline.spec import Spec
from strandline.store import Store, create_store, read_manifest
from strandline.store.chain import read_spec
from strandline.transactions.transaction import open_stream
from tests import faulty_learner
from tests.jobs import Job
from tests.plugins import install
from tests.streams import clicks, clicks_spec

FAULTY = """
name = "faulty"
label.path = "y"
weight.path = "w"
features.item.kind = "category"
features.x.kind = "number"
learners.sums = { type = "faulty", feature = "item" }
learners.seen = { type = "counts", feature = "item" }
[learners.line]
type = "sklearn"
features = ["x"]
bits = 4
estimator.name = "SGDRegressor"
"""
LINEAR = """
name = "linear"
label.path = "y"
weight.path = "w"
features.item.kind = "category"
features.x.kind = "number"
[learners.line]
type = "sklearn"
features = ["item", "x"]
bits = 6
[learners.line.estimator]
name = "SGDRegressor"
loss = "epsilon_insensitive"
penalty = "none"
learning_rate = "pa2"
"""
FTRL = """
name = "ftrl"
label.path = "y"
weight.path = "w"
features.item.kind = "category"
features.x.kind = "number"
features.pair = { kind = "cross", of = ["item", "item2"] }
features.item2 = { kind = "category", path = "item" }
learners.ctr = { type = "ftrl", bits = 8 }
"""


def event(number: int, **other: float) -> bytes:
    """A sound event, but for what is given."""
    values = {"y": float(number % 2), "w": 1.0, "item": f"i{number % 7}", "x": 0.1 * (number % 5)}
    return json.dumps(values | other).encode()


def learned(store: Store, records: list[bytes], epoch_events: int = 5000) -> list[TrainBody]:
    """Learn by the library, in epochs; return their bodies."""
    stream, bodies = open_stream(store, "events"), []
    for begin in range(0, len(records), epoch_events):
        with stream.begin() as transaction:
            transaction.learn(records[begin : begin + epoch_events])
        body = read_manifest(store, stream.version).body
        assert isinstance(body, TrainBody)
        bodies.append(body)
    return bodies


def parameters(store: Store) -> list[tuple[str, bytes]]:
    model = open_model(store)
    return [
        (name, array.tobytes())
        for name, table in sorted(model._parameters.items())
        for array in table.items()
    ]


def check_only_the_guilty_are_rejected(
    spec: str, guilty: dict[int, bytes], reason: str, detail: str
) -> None:
    """Parameters and sums are those of the events without them; they are kept, with the reason."""
    sound = [event(number) for number in range(9000)]
    bad = [guilty.get(number, record) for number, record in enumerate(sound)]
    garbage = [b"no json" if number in guilty else record for number, record in enumerate(sound)]
    store, other = (create_store("memory:", Spec.parse(spec)) for _ in range(2))
    bodies, expected = learned(store, bad), learned(other, garbage)
    assert [body.counts for body in bodies] == [body.counts for body in expected]
    assert [body.prequential for body in bodies] == [body.prequential for body in expected]
    assert parameters(store) == parameters(other)
    lines: list[dict[str, Any]] = []
    for body in bodies:
        assert body.counts.refused == 0
        if body.rejects.file is not None:
            assert body.rejects.reasons == {reason: body.counts.rejected}
            lines += map(json.loads, store.read("rejects", body.rejects.file).splitlines())
    assert {line["offset"] for line in lines} == set(guilty)
    assert {line["reason"] for line in lines} == {reason}
    assert all(detail in line["detail"] for line in lines), lines[0]


AT = (0, 1, 17, 4095, 4096, 4999, 5000, 8999)


@pytest.mark.parametrize(
    ("fields", "reason", "detail"),
    [
        ({"x": 18446744073709551615}, "too_large", "x: expected -1e+13 to 1e+13 for feature x,"),
        ({"x": -2e19}, "too_large", "got -1.9999999"),
        ({"w": 1e30}, "bad_weight", "w: expected more than 0 and at most 1e+13"),
        ({"x": 1e10, "w": 1e10}, "too_large", "times the weight, got "),
    ],
)
def test_a_number_that_overflows_costs_its_own_event(
    fields: dict[str, float], reason: str, detail: str
) -> None:
    guilty = {at: event(at, **fields) for at in AT}
    check_only_the_guilty_are_rejected(FTRL, guilty, reason, detail)


def test_the_largest_numbers_that_are_accepted_stay_finite_by_the_million() -> None:
    """In one slot, of one sign and of both: nothing is refused, and nothing needs to be."""
    store = create_store("memory:", Spec.parse(FTRL))
    records = [event(n, x=9.9e12 * (1 - n % 3), y=n % 2) for n in range(5000)] * 4
    (body,) = learned(store, records + [event(n, w=1e13) for n in range(5000)], 25_000)
    assert (body.counts.rejected, body.counts.refused) == (0, 0)


@pytest.mark.parametrize(
    ("label", "detail"),
    [
        (faulty_learner.NAN_CHANGE, "table sums.labels: a change is not finite"),
        (faulty_learner.RAISES, "learner sums raised ValueError: cannot learn 1002 at <"),
        (faulty_learner.RAISES_LATE, "learner sums raised RuntimeError: label 1003 of <"),
        (faulty_learner.NAN_PREDICTION, "learner sums: a prediction is not finite"),
        (faulty_learner.TOO_FEW_PREDICTIONS, "learner sums: 0 predictions for 1 events"),
    ],
)
def test_a_learner_of_another_package_fails_on_some_events(
    label: float, detail: str, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    install(monkeypatch, tmp_path, "faulty", {"faulty": "tests.faulty_learner:FaultySpec"})
    guilty = {at: event(at, y=label) for at in AT}
    check_only_the_guilty_are_rejected(FAULTY, guilty, "unlearnable", detail)


@pytest.mark.parametrize(
    ("raised", "detail"),
    [
        (ValueError, "table line.intercept: a change is not finite"),  # as for an overflow
        (MemoryError, ""),
        (FloatingPointError, "learner line raised FloatingPointError: not this one"),
    ],
)
def test_an_sklearn_estimator_raises_on_some_events(
    raised: type[Exception], detail: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    fit = SGDRegressor.partial_fit

    def partial_fit(self: Any, x: Any, y: Any, sample_weight: Any = None) -> Any:
        if (y == 77).any():
            raise raised("not this one")
        return fit(self, x, y, sample_weight)

    monkeypatch.setattr(SGDRegressor, "partial_fit", partial_fit)
    guilty = {at: event(at, y=77) for at in AT}
    if raised is MemoryError:  # no fault of an event
        with pytest.raises(MemoryError):
            learned(create_store("memory:", Spec.parse(LINEAR)), [*guilty.values()])
        return
    check_only_the_guilty_are_rejected(LINEAR, guilty, "unlearnable", detail)


@pytest.fixture
def faulty(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> Job:
    install(monkeypatch, tmp_path, "faulty", {"faulty": "tests.faulty_learner:FaultySpec"})
    return Job(create_store("memory:", Spec.parse(FAULTY)), block_events=311)


def test_how_blocks_are_cut_changes_no_bit_of_what_is_learned_again(faulty: Job) -> None:
    records = [
        event(n, y=faulty_learner.NAN_CHANGE) if n % 613 == 5 else event(n) for n in range(9000)
    ]
    other = Job(create_store("memory:", read_spec(faulty.store)), block_events=4000)
    assert faulty.epoch({0: records}).encode() == other.epoch({0: records}).encode()


@pytest.mark.parametrize("label", [faulty_learner.NAN_CHANGE, faulty_learner.RAISES_LATE])
def test_pending_deltas_stay_while_an_epoch_is_learned_again(label: float, faulty: Job) -> None:
    """What earlier epochs learned, published or not, is as it was."""
    bad = event(3, y=label).replace(b"i3", b"of nobody else")
    for number in range(4):
        faulty.epoch({0: [event(n) for n in range(50)] + [bad]})
        faulty.commit(keep=2)
        assert faulty.workers[0]._state.local["seen.counts"].items()[1][:, 0].sum() == 50 * (
            number + 1
        )


def test_too_many_events_to_keep_are_refused_and_the_worker_goes_on(
    faulty: Job, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    faulty.epoch({0: [event(n) for n in range(5000)]})
    monkeypatch.setattr(epochs, "RELEARN_BYTES_MAX", 10_000)
    bad = faulty.epoch({0: [*map(event, range(800)), event(1, y=faulty_learner.NAN_CHANGE), b"?"]})
    (delta,) = bad.body.deltas
    assert delta.refused is not None
    assert "a change is not finite" in delta.refused
    assert "too many to be learned again" in delta.refused
    assert (delta.events, delta.learned, delta.rejected) == (802, 0, 1)
    assert (bad.body.counts.refused, bad.body.files, bad.body.prequential) == (801, [], {})
    assert "refuses" in caplog.text
    faulty.commit()
    good = faulty.epoch({0: [event(n) for n in range(30)]})
    assert good.body.deltas[0].learned == 30
    faulty.commit()
    assert sum(open_model(faulty.store).count(f"i{n}")[0] for n in range(7)) == 5030


def test_a_learner_that_can_learn_nothing_ends_the_run(faulty: Job) -> None:
    faulty.feed(0, [event(n, y=faulty_learner.RAISES) for n in range(3000)])
    with pytest.raises(TooManyRejected, match=r"3000 of the run's 3000 .*\n.*\n.*cannot learn"):
        faulty.mark(0)


def test_refused_events_end_the_run_as_rejected_ones_do(
    faulty: Job, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(epochs, "RELEARN_BYTES_MAX", 0)
    faulty.feed(0, [event(n, y=faulty_learner.NAN_CHANGE) for n in range(3000)])
    with pytest.raises(TooManyRejected, match=r"0 of the run's 3000 .* and 3000 refused"):
        faulty.mark(0)


def test_a_writer_gives_up_after_events_that_cannot_be_learned(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    """A transaction rolled back in the middle of it leaves what was committed."""
    install(monkeypatch, tmp_path, "faulty", {"faulty": "tests.faulty_learner:FaultySpec"})
    store = create_store("memory:", Spec.parse(FAULTY))
    stream = open_stream(store, "events")
    with stream.begin() as transaction:
        transaction.learn([event(n) for n in range(70)])
    before = parameters(store)
    transaction = stream.begin()
    transaction.learn([event(1), event(2, y=faulty_learner.RAISES_LATE)])
    transaction.rollback()
    with stream.begin() as transaction:
        transaction.learn([event(1, y=faulty_learner.RAISES)])
    assert parameters(store) == before
    body = read_manifest(store, stream.version).body
    assert isinstance(body, TrainBody)
    assert (body.counts.events, body.counts.rejected) == (1, 1)


def test_the_run_that_ends_for_its_rejects_tells_of_the_first_and_keeps_them() -> None:
    job = Job(create_store("memory:", clicks_spec()))
    price = b'{"click":1,"item":"a","user":"u","price":"12.50"}'
    job.feed(0, [*clicks(10), b"{", *[price] * 1200])
    with pytest.raises(TooManyRejected) as caught:
        job.mark(0)
    lines = str(caught.value).splitlines()
    assert lines[0].startswith("stream events: 1201 of the run's 1211 events are rejected")
    expected = 'wrong_type: price: expected float or null, got "12.50"'
    assert lines[2].startswith("  partition 0, offset 10: not_json: ")
    assert lines[3:5] == [f"  partition 0, offset {at}: {expected}" for at in (11, 12)]
    assert lines[6:8] == ["  1200 price: wrong_type", "  1 event: not_json"]
    (sha256,) = job.store.staged("rejects")
    assert lines[8].endswith(f"strandline show {job.store.url} --rejects --file {sha256}")
    assert "rejected_share" in lines[-1]
    kept = [json.loads(line) for line in job.store.read("rejects", sha256).splitlines()]
    assert [(kept[-1]["offset"], kept[-1]["path"]) for _ in kept[:1]] == [(1210, "price")]
    assert len(kept) == 1000
