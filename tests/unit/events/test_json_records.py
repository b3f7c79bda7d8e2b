"""What a Python engineer hands to `predict` and `learn`: each form, and each mistake."""

from collections.abc import Callable
from pathlib import Path
from types import MappingProxyType
from typing import Any

import numpy as np
import pandas as pd
import pyarrow as pa
import pytest

import strandline
from strandline.errors import EventRejected, WrongUsage
from strandline.events.json_records import EventEncoder

SPEC = strandline.Spec.parse("""
name = "sales"
label.path = "sold"
features.user.kind = "category"
features.price = { path = "listing.price", kind = "number" }
features.cell = { path = "listing.place.cell", kind = "category" }
learners.odds.type = "ftrl"
learners.seen = { type = "counts", feature = "user" }
""")
ROWS = [
    {"user": "ann", "listing": {"price": 3.5, "place": {"cell": "a"}}, "sold": 1},
    {"user": "bob", "listing": {"price": 250.0, "place": {"cell": "b"}}, "sold": 0},
    {"user": "eve", "listing": {"price": 9.0, "place": {"cell": "a"}}, "sold": 1},
]


@pytest.fixture
def model(tmp_path: Path) -> strandline.Model:
    store = strandline.create_store(tmp_path, SPEC)
    strandline.learn(store, ROWS * 20, "history", {"list": "rows"})
    return strandline.open_model(store)


def frame() -> pd.DataFrame:
    return pd.json_normalize(ROWS)


FORMS: dict[str, Callable[[], Any]] = {
    "list of dicts": lambda: ROWS,
    "tuple": lambda: tuple(ROWS),
    "generator": lambda: (row for row in ROWS),
    "mappings": lambda: [MappingProxyType(row) for row in ROWS],
    "bytes": lambda: [EventEncoder(SPEC).records(row)[0] for row in ROWS],
    "str": lambda: [bytes(EventEncoder(SPEC).records(row)[0] or b"").decode() for row in ROWS],
    "bytearray": lambda: [bytearray(EventEncoder(SPEC).records(row)[0] or b"") for row in ROWS],
    "DataFrame with dotted columns": frame,
    "DataFrame with dictionaries": lambda: pd.DataFrame(ROWS),
    "DataFrame half normalized": lambda: pd.json_normalize(ROWS, max_level=1),
    "rows of a DataFrame": lambda: [row for _, row in frame().iterrows()],
    "flat dicts": lambda: frame().to_dict("records"),
    "arrow table": lambda: pa.Table.from_pylist(ROWS),
    "arrow record batch": lambda: pa.RecordBatch.from_pylist(ROWS),
    "arrow with dotted columns": lambda: pa.Table.from_pandas(frame()),
}


@pytest.mark.parametrize("form", FORMS)
def test_each_form_predicts_the_same(model: strandline.Model, form: str) -> None:
    expected = model.predict(ROWS).scores
    assert len(set(expected.tolist())) == 3, "the rows have scores of their own"
    assert model.predict(FORMS[form]()).scores.tolist() == expected.tolist()


@pytest.mark.parametrize("form", FORMS)
def test_each_form_is_learned_the_same(model: strandline.Model, tmp_path: Path, form: str) -> None:
    for name, learn in (("transaction", transacted), ("learn", learned)):
        store = strandline.create_store(tmp_path / name, SPEC)
        learn(store, FORMS[form]())
        found = strandline.open_model(store)
        assert [found.count(user) for user in ("ann", "bob", "eve")] == [(1, 1), (1, 0), (1, 1)]


def transacted(store: strandline.Store | str, events: Any) -> None:
    with strandline.open_stream(store, "s").begin() as transaction:
        transaction.learn(events)


def learned(store: strandline.Store, events: Any) -> None:
    strandline.learn(store, events, "s", {}, epoch_events=2)


@pytest.mark.parametrize(
    "one",
    [ROWS[0], b'{"user":"ann","listing":{"price":3.5,"place":{"cell":"a"}}}',
     '{"user":"ann","listing":{"price":3.5,"place":{"cell":"a"}}}', frame().iloc[0]],
    ids=["dict", "bytes", "str", "row"],
)  # fmt: skip
def test_one_event_needs_no_list(model: strandline.Model, one: Any) -> None:
    assert model.predict(one).scores.tolist() == model.predict(ROWS[:1]).scores.tolist()


def test_numpy_and_pandas_values_are_values(model: strandline.Model) -> None:
    event = {
        "user": np.str_("ann"),
        "listing": {"price": np.float64(3.5), "place": {"cell": np.array("a")[()]}},
        "sold": np.bool_(True),
        "at": pd.Timestamp("2026-01-02T03:04:05Z"),
        "never": pd.NaT,
        "missing": pd.NA,
        "day": np.datetime64("2026-01-02"),
        "lasted": np.timedelta64(5, "s"),
        "lasted_again": pd.Timedelta(5, "s"),
        "vector": np.arange(3),
        "wide": np.longdouble(1.5),
    }
    assert model.predict(event).scores.tolist() == model.predict(ROWS[:1]).scores.tolist()


@pytest.mark.parametrize("missing", [None, float("nan"), np.float32("nan"), pd.NA, pd.NaT])
def test_missing_values_are_absent_at_any_place(model: strandline.Model, missing: Any) -> None:
    absent = model.predict({"user": "ann"}).scores.tolist()
    for event in (
        {"user": "ann", "listing.price": missing},
        {"user": "ann", "listing": missing, "listing.price": missing},
        {"user": "ann", "listing": {"price": missing}},
        {"user": "ann", "listing": missing},
    ):
        assert model.predict(event).scores.tolist() == absent


def test_the_callers_dictionaries_stay_as_they_are(model: strandline.Model) -> None:
    place: dict[str, Any] = {"cell": "a"}
    event = {"user": "ann", "listing": {"place": place}, "listing.price": 3.5}
    assert model.predict(event).scores.tolist() == model.predict(ROWS[:1]).scores.tolist()
    assert event == {"user": "ann", "listing": {"place": {"cell": "a"}}, "listing.price": 3.5}


MISTAKES: dict[str, tuple[Any, type[Exception], str]] = {
    "a number": (7, WrongUsage, "got int, expected one event, or a list"),
    "numbers": ([{"user": "a"}, 7], WrongUsage, "event 1 of 2: got int"),
    "a strange value": ({"a": object()}, EventRejected, "it holds a value of type object"),
    "a strange key": ({(1, 2): 3}, EventRejected, "cannot be written as JSON"),
    "half a surrogate": ("\ud800", EventRejected, "cannot be written as JSON"),
    "two values at a path": (
        {"listing": {"price": 3}, "listing.price": 4}, EventRejected, "'listing.price'"),
    "no dictionary above": ({"listing": 3, "listing.price": 4}, EventRejected, "no dictionary"),
    "columns that nobody reads": (
        pd.DataFrame({"listing_price": [1.0, 2.0], "who": ["a", "b"]}), WrongUsage,
        "columns listing_price, who, none of which spec 'sales' reads"),
    "an arrow table that nobody reads": (
        pa.table({"listing_price": [1.0]}), WrongUsage, "none of which spec 'sales' reads"),
}  # fmt: skip


@pytest.mark.parametrize("mistake", MISTAKES)
def test_a_mistake_says_what_was_wanted(model: strandline.Model, mistake: str) -> None:
    events, error, words = MISTAKES[mistake]
    with pytest.raises(error, match=words):
        model.predict(events)


def test_a_call_with_a_mistake_learns_nothing(tmp_path: Path) -> None:
    stream = strandline.open_stream(strandline.create_store(tmp_path, SPEC), "s")
    with stream.begin() as transaction:
        transaction.learn(ROWS)
        with pytest.raises(EventRejected, match="event 1 of 2"):
            transaction.learn([ROWS[0], {"a": object()}])
    assert stream.position == 3


def test_a_store_is_named_by_its_path(tmp_path: Path) -> None:
    strandline.create_store(tmp_path, SPEC)
    transacted(str(tmp_path), ROWS)
    for path in (tmp_path, str(tmp_path)):
        assert strandline.open_model(path).version == 2
        with strandline.Reader(path) as reader:
            assert reader.model.version == 2
    mistakes: list[Any] = [None, 7, b"model"]
    for wrong in mistakes:
        with pytest.raises(WrongUsage, match="expected"):
            strandline.open_model(wrong)


def test_an_estimator_of_a_spec_without_one(model: strandline.Model) -> None:
    with pytest.raises(strandline.StrandlineError, match=r"needs a learner of type sklearn.*odds"):
        model.estimator()
