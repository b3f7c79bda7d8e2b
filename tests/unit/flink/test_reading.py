"""The independent reading against the decoder, and what it finds in a store that is wrong."""

import json
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from numpy.typing import NDArray

from strandline.features import Decoder
from strandline.learners import empty_parameters, make_learners
from strandline.spec import Category, Spec
from strandline_flink.dev.events import EventStream, clicks_spec
from strandline_flink.dev.plain_events import read_event
from strandline_flink.dev.quick_events import EventReader
from strandline_flink.dev.reading import Difference, Reading, Record, compare, read_counts
from tests.unit.features.test_decoder import FLAT, NESTED, encoded, flat, nested

Rows = tuple[NDArray[np.uint64], NDArray[np.int64]]
CLICKS = Spec.parse(clicks_spec())
LIBRARY = Path(__file__).parents[3] / "connectors" / "strandline_flink" / "dev"


def repeats_a_key(record: bytes | None) -> bool:
    def check(pairs: list[tuple[str, object]]) -> dict[str, object]:
        if len({key for key, _ in pairs}) < len(pairs):
            raise KeyError
        return dict(pairs)

    try:
        json.loads(record or b"", object_pairs_hook=check)
    except KeyError:
        return True
    except (ValueError, RecursionError):
        pass
    return False


@given(st.none() | encoded(flat))
def test_flat_events_are_sound_for_both_or_none(record: bytes | None) -> None:
    if not repeats_a_key(record):
        sound = Decoder(FLAT).decode([record])[0].rows == 1
        assert (read_event(record, FLAT) is not None) == sound


@given(st.none() | encoded(nested))
def test_nested_events_are_sound_for_both_or_none(record: bytes | None) -> None:
    if not repeats_a_key(record):
        sound = Decoder(NESTED).decode([record])[0].rows == 1
        assert (read_event(record, NESTED) is not None) == sound


def test_hostile_bytes_are_malformed() -> None:
    for record in (b"[" * 100_000, b'{"a":' * 50_000, b"\xff", b'{"y":' + b"9" * 5000 + b"}"):
        assert read_event(record, FLAT) is None


def plainly(record: bytes | None, spec: Spec, path: str) -> object:
    values = read_event(record, spec)
    return values and (set(values[path]), values[spec.label.path] > 0)


def quickly(record: bytes | None, spec: Spec, feature: str) -> object:
    found = EventReader(spec, feature).read(record)
    return found and (set(found.values), found.positive)


@given(st.none() | encoded(flat))
def test_flat_events_count_alike_quickly_and_plainly(record: bytes | None) -> None:
    for feature in ("a", "b", "c"):
        assert quickly(record, FLAT, feature) == plainly(record, FLAT, feature)


@given(st.none() | encoded(nested))
def test_nested_events_count_alike_quickly_and_plainly(record: bytes | None) -> None:
    for name, feature in NESTED.features.items():
        if isinstance(feature, Category):
            assert quickly(record, NESTED, name) == plainly(record, NESTED, feature.path)


def test_click_events_count_alike_and_hardly_one_is_read_plainly(
    records: list[Record], monkeypatch: pytest.MonkeyPatch
) -> None:
    asked: list[bytes | None] = []

    def asking(record: bytes | None, spec: Spec) -> dict[str, Any] | None:
        asked.append(record)
        return read_event(record, spec)

    monkeypatch.setattr("strandline_flink.dev.quick_events.read_event", asking)
    sound = 0
    for feature, path in (("item", "item.id"), ("tags", "item.tags"), ("hour", "context.hour")):
        reader = EventReader(CLICKS, feature)
        for _, _, record in records[:2000]:
            found = reader.read(record)
            assert (found and (set(found.values), found.positive)) == plainly(record, CLICKS, path)
            sound += found is not None
    assert len(asked) < 0.06 * 6000
    assert sound > 0.9 * 6000


BOUNDS = [
    b'{"y":1e39,"w":1}', b'{"y":1e14,"w":1}', b'{"y":1,"w":1e14}', b'{"y":1,"w":8,"x":1.25e12}',
    b'{"y":1,"w":1,"x":1e14}', b'{"y":1,"w":1e-3,"x":-1e13}', b'{"y":1,"w":0}', b'{"y":1,"w":-1}',
    b'{"y":1,"w":1e-60}', b'{"y":1,"w":true}', b'{"y":true,"w":1}',
    b'{"y":1,"w":1,"a":9223372036854775808}', b'{"y":1,"w":1,"a":[[]]}', b'{"y":1,"w":1,"a":{}}',
    b'{"y":1,"w":1,"a":["x",null]}', b'{"y":1,"w":1,"a":"\\ud800"}', b'{"y":1,"w":1,"a":"\xff"}',
    b'{"y":1,"w":1,"a":[' + b'"x",' * 2000 + b'"x"]}',
    b'{"y":1,"w":1,"z":' + b"[" * 70 + b"]" * 70 + b"}",
    b'\xef\xbb\xbf{"y":1,"w":1}', b'{"y":1,"w":1}}', b'[{"y":1,"w":1}]',
    b"", b"null", b'{"y":NaN,"w":1}',
    b'{"y":1,"w":1,"z":"' + b"x" * 70_000 + b'"}',
]  # fmt: skip


@pytest.mark.parametrize("record", BOUNDS, ids=range(len(BOUNDS)))
def test_values_at_the_bounds_count_alike_for_all_three(record: bytes) -> None:
    assert quickly(record, FLAT, "a") == plainly(record, FLAT, "a")
    sound = Decoder(FLAT).decode([record])[0].rows == 1
    assert (read_event(record, FLAT) is not None) == sound


@pytest.mark.parametrize(
    ("number", "event"),
    [
        ("scale = 1e5", b'{"y":1,"w":900,"x":1e5}'),
        ("offset = -9e12", b'{"y":1,"w":2,"x":1}'),
        ("clip = [2e13, 3e13]", b'{"y":1,"w":1,"x":1}'),
        ("clip = [-3e13, -2e13]", b'{"y":1,"w":1,"x":1}'),
    ],
)
def test_a_spec_that_makes_small_numbers_large_is_not_read_quickly(
    number: str, event: bytes
) -> None:
    spec = Spec.parse(f"""
        name = "large"
        label.path = "y"
        weight.path = "w"
        features.a = {{ path = "a", kind = "category", required = false }}
        features.x = {{ path = "x", kind = "number", {number} }}
        learners.seen = {{ type = "counts", feature = "a" }}
    """)
    expected = Decoder(spec).decode([event])[0].rows == 1
    assert (quickly(event, spec, "a") is not None) == expected
    assert (plainly(event, spec, "a") is not None) == expected


@pytest.fixture(scope="module")
def records() -> list[Record]:
    events = EventStream(11, malformed_share=0.05).events(0, 6000)
    return [(index % 2, 10 + index // 2, event) for index, event in enumerate(events)]


def learned(records: list[Record], spec: Spec, name: str) -> Rows:
    learner = make_learners(spec)[name]
    parameters = empty_parameters({name: learner})
    learner.bind(parameters)
    learner.learn(Decoder(spec).decode([record for _, _, record in records])[0])
    return parameters[f"{name}.counts"].items()


def test_a_store_that_learned_the_range_shows_no_difference(records: list[Record]) -> None:
    ranges = {0: (10, 2000), 1: (500, 3010)}
    reading = read_counts(records, ranges, CLICKS, "item")
    inside = [r for r in records if ranges[r[0]][0] <= r[1] < ranges[r[0]][1]]
    rows, values = learned(inside, CLICKS, "popularity")
    assert reading.events == len(inside)
    assert reading.malformed > 0
    assert sum(events for events, _ in reading.counts.values()) == len(inside) - reading.malformed
    assert compare(reading, rows, values, "item") == Difference(0, 0, 0, 0)
    assert compare(reading, rows, values, "item").none


def test_several_values_of_an_event_count_once_each() -> None:
    event = b'{"y":1,"w":1,"a":["x","x",7,"7",true]}'
    reading = read_counts([(0, 0, event), (0, 1, None)], {0: (0, 2)}, FLAT, "a")
    assert reading == Reading(2, 1, {"x": (1, 1), "7": (1, 1), "true": (1, 1)})
    rows, values = learned([(0, 0, event)], FLAT, "seen")
    assert compare(reading, rows, values, "a").none


def test_a_lost_event_and_a_duplicated_one_do_not_cancel_out(records: list[Record]) -> None:
    sound = [r for r in records if read_event(r[2], CLICKS) is not None]
    reading = read_counts(sound, {0: (0, 9999), 1: (0, 9999)}, CLICKS, "item")
    one, other = sound[0], next(r for r in sound if item(r) != item(sound[0]))
    rows, values = learned([*sound[1:], other], CLICKS, "popularity")
    difference = compare(reading, rows, values, "item")
    assert (difference.lost, difference.duplicated) == (1, 1)
    assert difference.positives_lost == click(one)
    assert difference.positives_duplicated == click(other)
    assert not difference.none


def test_a_store_that_holds_nothing_lost_everything(records: list[Record]) -> None:
    reading = read_counts(records, {0: (0, 9999)}, CLICKS, "item")
    difference = compare(reading, np.empty(0, np.uint64), np.empty((0, 2), np.int64), "item")
    assert difference.lost == reading.events - reading.malformed
    assert difference.duplicated == 0


def test_a_flipped_label_shows_in_the_positives_alone() -> None:
    events = [b'{"y":%d,"w":1,"a":"x"}' % label for label in (1, 0, 0)]
    reading = read_counts([(0, i, e) for i, e in enumerate(events)], {0: (0, 3)}, FLAT, "a")
    rows, values = learned([(0, 0, events[1])] * 3, FLAT, "seen")
    assert compare(reading, rows, values, "a") == Difference(0, 0, 1, 0)


def test_a_record_that_comes_twice_is_refused(records: list[Record]) -> None:
    with pytest.raises(ValueError, match="partition 0: offset 10 after 10"):
        read_counts([records[0], records[0]], {0: (0, 99)}, CLICKS, "item")


def test_the_reading_shares_no_code_with_the_decoder() -> None:
    for module in ("reading.py", "plain_events.py", "quick_events.py"):
        assert "import strandline.features" not in (LIBRARY / module).read_text()
        assert "from strandline.features" not in (LIBRARY / module).read_text()


def item(record: Record) -> str:
    return str(json.loads(record[2] or b"")["item"]["id"])


def click(record: Record) -> int:
    return int(json.loads(record[2] or b"")["click"])
