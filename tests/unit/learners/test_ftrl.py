"""The kernel against the oracle, bit for bit, and what a delta says of an epoch."""

import dataclasses

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from strandline.features import BIAS_FIELD, Batch
from strandline.learners.ftrl import Ftrl
from strandline.learners.ftrl_delta import close_epoch
from strandline.learners.ftrl_kernel import RECORD_BYTES, learn_events, predict_events
from strandline.learners.loading import empty_parameters
from strandline.spec import FtrlSpec
from strandline.tables.table import DenseTable, Parameters
from tests.oracles.ftrl import Event, Oracle, float32

NAMES = ("a", "b", "c")


def batch_of(events: list[Event]) -> Batch:
    entries = [entry for event in events for entry in event[0]]
    return Batch(
        keys=np.array([key for key, _, _ in entries], np.uint64),
        fields=np.array([field for _, field, _ in entries], np.uint16),
        values=np.array([value for _, _, value in entries], np.float32),
        starts=np.cumsum([0, *(len(event[0]) for event in events)]).astype(np.int64),
        labels=np.array([label for _, label, _ in events], np.float32),
        weights=np.array([weight for _, _, weight in events], np.float32),
    )


def bound(spec: FtrlSpec, fields: tuple[int, ...] = (0, 1, 2)) -> tuple[Ftrl, Parameters]:
    learner = Ftrl("ctr", spec, fields)
    parameters = empty_parameters({"ctr": learner})
    learner.bind(parameters)
    return learner, parameters


def zn_of(parameters: Parameters) -> np.ndarray[tuple[int, int], np.dtype[np.float32]]:
    table = parameters["ctr.zn"]
    assert isinstance(table, DenseTable)
    return table.values


def oracle_of(spec: FtrlSpec, fields: tuple[int, ...] = (0, 1, 2)) -> Oracle:
    return Oracle(spec.alpha, spec.beta, spec.l1, spec.l2, spec.bits, frozenset(fields))


def assert_equal_to_oracle(
    spec: FtrlSpec, batches: list[list[Event]], fields: tuple[int, ...] = (0, 1, 2)
) -> None:
    learner, parameters = bound(spec, fields)
    oracle = oracle_of(spec, fields)
    for events in batches:
        served = learner.predict(batch_of(events))
        assert served.tolist() == [float32(oracle.predict(event)) for event in events]
        predictions = learner.learn(batch_of(events))
        assert predictions.tolist() == [oracle.learn(event) for event in events]
    zn = zn_of(parameters)
    assert {slot: tuple(zn[slot].tolist()) for slot in oracle.state} == oracle.state
    assert int(zn.any(axis=1).sum()) <= len(oracle.state)
    delta = learner.take_delta()["ctr.zn"]
    assert delta.rows.tolist() == sorted(oracle.records)
    for i, slot in enumerate(sorted(oracle.records)):
        record, end = oracle.records[slot], oracle.state[slot]
        change = [float32(b - a) for a, b in zip(record.start, end, strict=True)]
        assert delta.values[i].tolist() == change
        assert delta.stats["touches"][i] == record.touches
        assert delta.stats["contraction"][i] == float32(record.contraction)
        dw = oracle.weight(*end) - oracle.weight(*record.start)
        assert delta.stats["dw"][i] == pytest.approx(dw, rel=1e-6, abs=1e-9)


values = st.floats(-8, 8, width=32)
# Few keys on few slots: an event often meets one slot several times.
entry = st.tuples(st.integers(0, 40), st.integers(0, 3), values)
event = st.tuples(
    st.lists(entry, max_size=6).map(lambda entries: [*entries, (7, BIAS_FIELD, 1.0)]),
    st.sampled_from([0.0, 1.0]),
    st.sampled_from([1.0, 0.25, 7.0]),
)


@settings(deadline=None, max_examples=150)
@given(
    batches=st.lists(st.lists(event, max_size=6), max_size=4),
    l1=st.sampled_from([0.0, 0.5]),
    l2=st.sampled_from([0.0, 2.0]),
    alpha=st.sampled_from([0.05, 1.0]),
    bits=st.sampled_from([1, 4, 18]),
)
def test_the_kernel_equals_the_oracle_bit_for_bit(
    batches: list[list[Event]], l1: float, l2: float, alpha: float, bits: int
) -> None:
    spec = FtrlSpec(features=NAMES, alpha=alpha, l1=l1, l2=l2, bits=bits)
    assert_equal_to_oracle(spec, batches)


@pytest.mark.parametrize(
    ("l1", "l2", "fields"), [(0.0, 0.0, (0, 1, 2)), (0.3, 1.5, (0, 1, 2)), (0.0, 0.0, (2,))]
)
def test_a_longer_stream_equals_the_oracle(l1: float, l2: float, fields: tuple[int, ...]) -> None:
    rng = np.random.default_rng(11)
    events: list[Event] = []
    for _ in range(1500):
        length = int(rng.integers(1, 8))
        keys = rng.zipf(1.3, length) % 2**40
        entries = [
            (int(k), int(f), float32(x))
            for k, f, x in zip(
                keys, rng.integers(0, 3, length), rng.normal(size=length), strict=True
            )
        ]
        # Every third event repeats an entry: one slot twice.
        entries += entries[:1] if rng.random() < 0.3 else []
        label = float(rng.random() < 0.2 + 0.5 * (int(keys[0]) % 2))
        events.append(([*entries, (7, BIAS_FIELD, 1.0)], label, float32(rng.random() + 0.1)))
    spec = FtrlSpec(features=NAMES, alpha=0.3, l1=l1, l2=l2, bits=8)
    assert_equal_to_oracle(spec, [events[:700], events[700:]], fields)


def test_one_slot_twice_in_an_event_predicts_with_both_and_is_touched_once() -> None:
    spec = FtrlSpec(features=NAMES, alpha=1.0, bits=4)
    learner, parameters = bound(spec)
    twice: Event = ([(3, 0, 1.0), (19, 1, 1.0)], 1.0, 1.0)  # 3 and 19 share slot 3
    learner.learn(batch_of([twice]))
    # p = 1/2, w = 0: g = -1/2 for each entry, n = 1/4 + 1/4.
    assert zn_of(parameters)[3].tolist() == [-1.0, 0.5]
    delta = learner.take_delta()["ctr.zn"]
    assert delta.rows.tolist() == [3]
    assert delta.stats["touches"].tolist() == [1]
    # p (1 - p) times eta x² of both entries, eta = alpha / beta = 1 at n = 0.
    assert delta.stats["contraction"].tolist() == [0.5]
    w = 1.0 / (1.0 + np.sqrt(0.5))
    assert learner.predict(batch_of([twice]))[0] == pytest.approx(1 / (1 + np.exp(-2 * w)))


def test_a_gradient_is_the_derivative_of_the_weighted_loss() -> None:
    spec = FtrlSpec(features=NAMES, alpha=0.5, bits=6)
    learner, parameters = bound(spec)
    rng = np.random.default_rng(3)
    table = parameters["ctr.zn"]
    rows = np.arange(64, dtype=np.uint32)
    start = np.abs(rng.normal(size=(64, 2))).astype(np.float32)
    table.assign(rows, start)
    event: Event = ([(1, 0, 0.75), (2, 1, -1.5), (3, 2, 2.0)], 1.0, 3.0)
    weights = learner.weights(start)

    def loss(w: np.ndarray[tuple[int], np.dtype[np.float64]]) -> float:
        return float(3.0 * np.log1p(np.exp(-(w[1] * 0.75 + w[2] * -1.5 + w[3] * 2.0))))

    learner.learn(batch_of([event]))
    delta = learner.take_delta()["ctr.zn"]
    for i, slot in enumerate((1, 2, 3)):
        step = np.zeros(64)
        step[slot] = 1e-6
        gradient = (loss(weights + step) - loss(weights - step)) / 2e-6
        assert delta.values[i, 1] == pytest.approx(gradient**2, rel=1e-4)


def test_l1_zeroes_the_weight_and_keeps_the_state() -> None:
    learner, parameters = bound(FtrlSpec(features=NAMES, l1=100.0, bits=4))
    events: list[Event] = [([(1, 0, 1.0)], 1.0, 1.0)] * 20
    assert learner.learn(batch_of(events)).tolist() == [0.5] * 20
    assert zn_of(parameters)[1].tolist() == [-10.0, 5.0]
    assert learner.take_delta()["ctr.zn"].stats["dw"].tolist() == [0.0]


def test_state_and_weights_undo_each_other() -> None:
    learner, _ = bound(FtrlSpec(features=NAMES, alpha=0.1, l1=0.5, l2=2.0))
    w = np.array([-2.0, -1e-9, 0.0, 0.3])
    n = np.array([0.0, 1.0, 2.0, 300.0])
    z = learner.state(w, n)
    assert learner.weights(np.stack((z, n), axis=1)) == pytest.approx(w, rel=1e-6, abs=1e-12)
    assert z[2] == 0.0


def test_the_columns_of_a_delta_have_the_bits_of_their_formulas() -> None:
    spec = FtrlSpec(features=("a",), bits=6, alpha=0.3, l1=0.2, l2=0.7)
    rng = np.random.default_rng(3)
    entries = [[(int(key), 0, 1.5) for key in rng.integers(0, 48, 5)] for _ in range(300)]
    events: list[Event] = [(each, float(rng.random() < 0.3), 2.0) for each in entries]
    learner, parameters = bound(spec)
    learner.learn(batch_of(events[:150]))
    learner.take_delta()
    start = zn_of(parameters).copy()
    learner.learn(batch_of(events[150:]))
    end = zn_of(parameters).copy()
    delta = learner.take_delta()["ctr.zn"]
    rows = np.unique([key % 64 for each in entries[150:] for key, _, _ in each])
    assert delta.rows.tolist() == rows.tolist()
    assert delta.values.tobytes() == (end[rows] - start[rows]).tobytes()
    before = learner.weights(start[rows])
    assert delta.stats["start"].tobytes() == before.astype(np.float32).tobytes()
    dw = learner.weights(end[rows]) - before
    assert delta.stats["dw"].tobytes() == dw.astype(np.float32).tobytes()
    learner.learn(batch_of(events[:1]))
    assert learner.take_delta()["ctr.zn"].rows.tolist() == sorted({key for key, _, _ in entries[0]})


@pytest.mark.parametrize("merge", ["sum", "mean"])
def test_rules_that_need_no_stats_send_none(merge: str) -> None:
    spec = FtrlSpec(features=NAMES, merge="sum" if merge == "sum" else "mean")
    learner, _ = bound(spec)
    learner.learn(batch_of([([(1, 0, 1.0)], 1.0, 1.0)]))
    assert learner.take_delta()["ctr.zn"].stats == {}


def test_a_step_that_overflows_is_seen_in_the_delta() -> None:
    learner, _ = bound(FtrlSpec(features=NAMES, bits=4))
    learner.learn(batch_of([([(1, 0, 1e30)], 1.0, 1.0)]))
    assert not learner.take_delta()["ctr.zn"].finite
    learner, _ = bound(FtrlSpec(features=NAMES, bits=4))
    learner.learn(batch_of([([(1, 0, 1.0)], 1.0, 1.0)]))
    assert learner.take_delta()["ctr.zn"].finite


def test_two_learners_of_one_table_go_on_from_each_other() -> None:
    spec = FtrlSpec(features=NAMES, bits=4)
    one, parameters = bound(spec)
    other, alone = bound(spec)
    batches = [batch_of([([(key, 0, 1.0), (3, 1, 0.5)], 1.0, 1.0)]) for key in range(6)]
    for i, batch in enumerate(batches):
        learner = Ftrl("ctr", spec, (0, 1, 2)) if i == 3 else one
        learner.bind(parameters)
        delta, expected = (
            each.learn(batch).tolist() and each.take_delta()["ctr.zn"] for each in (learner, other)
        )
        assert delta.values.tobytes() == expected.values.tobytes()
        assert delta.rows.tolist() == expected.rows.tolist() == sorted({i, 3})
    assert zn_of(parameters).tobytes() == zn_of(alone).tobytes()


def test_bound_to_the_same_table_again_it_forgets_what_it_touched() -> None:
    learner, parameters = bound(FtrlSpec(features=NAMES, bits=4))
    learner.learn(batch_of([([(1, 0, 1.0), (2, 1, 1.0)], 1.0, 1.0)] * 3))
    learner.bind(parameters)
    start = zn_of(parameters)[1].tolist()
    learner.learn(batch_of([([(1, 0, 1.0)], 0.0, 1.0)]))
    delta = learner.take_delta()["ctr.zn"]
    assert delta.rows.tolist() == [1]
    assert delta.stats["touches"].tolist() == [1]
    assert delta.before is not None
    assert delta.before.tolist() == [start]


def test_a_record_is_in_one_cache_line() -> None:
    learner, parameters = bound(FtrlSpec(features=NAMES, bits=4))
    learner.learn(batch_of([([(1, 0, 1.0)], 1.0, 1.0)]))
    table = parameters["ctr.zn"]
    assert isinstance(table, DenseTable)
    assert table.memory.strides[0] == RECORD_BYTES
    assert table.memory.ctypes.data % RECORD_BYTES == 0


def test_arrays_of_any_making_compile_nothing_anew() -> None:
    learner, _ = bound(FtrlSpec(features=NAMES, bits=4))
    plain = batch_of([([(1, 0, 1.0), (2, 1, 1.0)], 1.0, 1.0)])
    learner.learn(plain)
    compiled = len(learn_events.signatures)
    values = np.zeros(4, np.float32)
    values[::2] = plain.values
    unaligned = np.frombuffer(b"\0" + plain.keys.tobytes(), np.uint8)[1:].view(np.uint64)
    odd = Batch(
        keys=unaligned,
        fields=np.frombuffer(plain.fields.tobytes(), np.uint16),
        values=values[::2],
        starts=np.frombuffer(plain.starts.tobytes(), np.int64),
        labels=np.frombuffer(plain.labels.tobytes(), np.float32),
        weights=plain.weights,
    )
    learner.learn(odd)
    assert len(learn_events.signatures) == compiled == 1


@pytest.mark.parametrize(
    "starts", [[1, 3, 4], [0, 2, 3], [0, 2, 5], [0, 5, 4], [0, 2, 4, 4], [0, 4]]
)
def test_a_batch_that_contradicts_itself_does_not_reach_the_kernel(starts: list[int]) -> None:
    learner, _ = bound(FtrlSpec(features=NAMES, bits=4))
    good = batch_of([([(1, 0, 1.0), (2, 1, 1.0)], 1.0, 1.0)] * 2)
    bad = dataclasses.replace(good, starts=np.array(starts, np.int64))
    for use in (learner.learn, learner.predict):
        with pytest.raises(AssertionError, match=r"starts|rows"):
            use(bad)


@pytest.mark.parametrize("column", ["fields", "values"])
def test_columns_of_different_length_do_not_reach_the_kernel(column: str) -> None:
    learner, _ = bound(FtrlSpec(features=NAMES, bits=4))
    good = batch_of([([(1, 0, 1.0), (2, 1, 1.0)], 1.0, 1.0)])
    bad = dataclasses.replace(good, **{column: getattr(good, column)[:-1]})
    for use in (learner.learn, learner.predict):
        with pytest.raises(AssertionError, match="differ in length"):
            use(bad)


def test_kernels_release_the_interpreter_and_keep_strict_maths() -> None:
    """With fast maths `isfinite(nan)` is true inside a kernel, and a replay may change bits."""
    for kernel in (learn_events, predict_events, close_epoch):
        assert kernel.targetoptions["nogil"] is True
        assert not kernel.targetoptions.get("fastmath")


def test_a_read_only_table_predicts_and_refuses_to_learn() -> None:
    learner, parameters = bound(FtrlSpec(features=NAMES, bits=4))
    batch = batch_of([([(1, 0, 1.0)], 1.0, 1.0)])
    learner.learn(batch)
    zn = zn_of(parameters).copy()
    zn.flags.writeable = False
    expected = learner.predict(batch)
    learner.bind({"ctr.zn": DenseTable(learner.tables[0], zn)})
    assert learner.predict(batch).tolist() == expected.tolist()
    with pytest.raises(ValueError, match="read-only"):
        learner.learn(batch)
