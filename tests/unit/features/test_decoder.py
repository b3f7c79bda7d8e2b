"""The decoder against the oracle, bit for bit, on events of all sorts, and on no events at all."""

import json
import math
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from strandline.features import BIAS_FIELD, BIAS_KEY, REASONS, Batch, Decoder
from strandline.features.hashing import KeyCache, category_key, field_seed
from strandline.spec import Spec
from tests.oracles import features as oracle

SPECS = Path(__file__).parents[3] / "examples" / "specs"
NESTED = Spec.load(SPECS / "nested.toml")
FLAT = Spec.parse("""
name = "flat"
label.path = "y"
weight.path = "w"
features.a.kind = "category"
features.b.kind = "category"
features.c.kind = "category"
features.x.kind = "number"
features.abc = { kind = "cross", of = ["c", "a", "b"] }
features.aa = { kind = "cross", of = ["a", "b"] }
learners.seen = { type = "counts", feature = "a" }
limits = { depth = 3, entries = 20, event_bytes = 300 }
""")
BINARY = Spec.parse("""
name = "binary"
label.path = "y"
features.a = { kind = "category", required = true }
features.x = { kind = "number", scale = 1e7, required = true }
features.z = { kind = "number", path = "x", scale = 1e38, clip = [-1, 1] }
learners.ctr.type = "ftrl"
""")

texts = st.text(max_size=8)
integers = st.integers(-(2**64), 2**64) | st.integers(-(10**330), 10**330)
scalars = st.none() | st.booleans() | st.integers(-3, 3) | integers | st.floats() | texts
values = scalars | st.lists(texts | st.integers(-2, 9) | st.booleans() | scalars, max_size=6)
anything = st.recursive(
    values, lambda inner: st.lists(inner, max_size=3) | st.dictionaries(texts, inner, max_size=3)
)


def flat_events(**good: st.SearchStrategy[Any]) -> st.SearchStrategy[Any]:
    mixed = {key: strategy | anything for key, strategy in good.items()}
    return st.fixed_dictionaries({}, optional=good) | st.fixed_dictionaries({}, optional=mixed)


categories = st.lists(texts | st.integers(0, 9) | st.booleans(), max_size=4) | texts
numbers = st.floats(allow_nan=False) | st.integers(-5, 5)
flat = flat_events(
    y=st.sampled_from([0, 1, True, 1.0, 2.5]), w=st.floats(0, 9), u=anything,
    a=categories, b=categories, c=categories, x=numbers,
)  # fmt: skip
nested = flat_events(
    outcome=flat_events(bought=st.booleans(), weight=st.floats(1e-3, 9)),
    search=flat_events(größe=texts, words=categories),
    shown=flat_events(item=flat_events(id=categories, shelf=categories, price=numbers)),
    user=flat_events(balance=numbers),
)


@st.composite
def encoded(draw: st.DrawFn, events: st.SearchStrategy[Any]) -> bytes:
    """Bytes of an event: honest, or with a fault that its values cannot show."""
    escaped = draw(st.booleans())
    data = json.dumps(draw(events), ensure_ascii=escaped).encode("utf-8", "surrogatepass")
    match draw(st.integers(0, 9)):
        case 0:
            at = draw(st.integers(0, len(data)))
            return data[:at] + draw(st.binary(max_size=3)) + data[at + draw(st.integers(0, 2)) :]
        case 1:
            return data[: draw(st.integers(0, len(data)))]
        case 2:
            return data[:-1] + b"," + json.dumps(draw(events)).encode()[1:]
        case 3:
            return data.replace(b"1", draw(st.sampled_from([b"1e999", b"-0", b"9" * 500, b"NaN"])))
    return data


def rows(batch: Batch) -> list[oracle.Event]:
    assert batch.keys.dtype == np.uint64
    assert batch.fields.dtype == np.uint16
    assert batch.starts.dtype == np.int64
    assert {a.dtype.name for a in (batch.values, batch.labels, batch.weights)} == {"float32"}
    assert not np.signbit(batch.values[batch.values == 0]).any()
    return [
        oracle.Event(
            list(zip(batch.keys[a:b].tolist(), batch.fields[a:b].tolist(),
                     batch.values[a:b].tolist(), strict=True)),
            label, weight,
        )
        for a, b, label, weight in zip(
            batch.starts[:-1].tolist(), batch.starts[1:].tolist(),
            batch.labels.tolist(), batch.weights.tolist(), strict=True,
        )
    ]  # fmt: skip


def check_like_oracle(spec: Spec, records: list[bytes | None]) -> None:
    for labelled in (True, False):
        batch, rejections = Decoder(spec).decode(records, labelled=labelled)
        wanted = [oracle.decode(record, spec, labelled=labelled) for record in records]
        assert rows(batch) == [event for event in wanted if not isinstance(event, str)]
        assert [(index, reason) for index, reason, _, _ in rejections] == [
            (index, reason) for index, reason in enumerate(wanted) if isinstance(reason, str)
        ]
        assert batch.starts[0] == 0
        assert batch.starts[-1] == batch.entries


@given(st.lists(st.none() | encoded(flat), max_size=6))
def test_flat_events_decode_like_the_oracle(records: list[bytes | None]) -> None:
    check_like_oracle(FLAT, records)


@given(st.lists(encoded(flat), max_size=6))
def test_binary_labels_decode_like_the_oracle(records: list[bytes | None]) -> None:
    check_like_oracle(BINARY, records)


@given(st.lists(encoded(nested), max_size=6))
def test_nested_events_decode_like_the_oracle(records: list[bytes | None]) -> None:
    check_like_oracle(NESTED, records)


@given(st.lists(st.binary() | st.text(alphabet='{}[]",:\\01enulltruefasyabcwxu ').map(str.encode)))
@example([b"\xef\xbb\xbf{}", b"{}\x00", b'"' * 100, b"[" * 100_000, b'{"a":' * 50_000])
@example([b'{"u":"\\ud800","y":1,"w":1}', b'{"u":"\\udc00","y":1,"w":1}'])
@example([b'{"u":"\xed\xa0\x80","y":1,"w":1}', b'{"\xff":0,"y":1,"w":1}'])
def test_arbitrary_bytes_never_raise(records: list[bytes | None]) -> None:
    check_like_oracle(FLAT, records)


@given(st.lists(encoded(nested), min_size=2, max_size=6), st.data())
def test_an_event_decodes_alike_alone_and_in_company(
    records: list[bytes | None], data: st.DataObject
) -> None:
    decoder = Decoder(NESTED)
    together, _ = decoder.decode(data.draw(st.permutations(records)) + records)
    alone = [row for record in records for row in rows(Decoder(NESTED).decode([record])[0])]
    assert rows(together)[len(alone) :] == alone


NEIGHBOURS = [b'{"y":1,"w":1},{"y":1', b'"w":1}', b'[{"y":1,"w":1}', b"]", b'{"y":1,"w":1}\n{"y":1']


def test_records_that_would_be_events_if_joined_are_rejected() -> None:
    batch, rejections = Decoder(FLAT).decode(NEIGHBOURS)
    assert batch.rows == 0
    assert {reason for _, reason, *_ in rejections} == {"not_json"}


REJECTED: dict[str, list[bytes | None]] = {
    "empty": [None, b""],
    "too_long": [b'{"y":1,"w":1,"u":"' + b"a" * 300 + b'"}', b"a" * 301],
    "too_deep": [b'{"y":1,"w":1,"u":[[[]]]}', b"[[[[", b'{"a":"\\"]]]","u":[[[0]]]}'],
    "not_json": [b" ", b"{", b'{"y":NaN}', b'{"y":1}x', b'{"y":01}', b'{"y":true,"a":1.5,'],
    "wrong_type": [
        b"[]", b"3", b'{"y":"1"}', b'{"y":1,"a":1.5}', b'{"y":1,"a":{}}', b'{"y":1,"a":[null]}',
        b'{"y":1,"a":[["b"]]}', b'{"y":1,"x":true}', b'{"y":1,"x":"1"}', b'{"y":1,"x":1e999}',
        b'{"y":1,"a":9223372036854775808}', b'{"y":1,"w":"1"}',
    ],
    "missing_label": [b"{}", b'{"w":1}', b'{"y":null,"w":1}'],
    "bad_label": [b'{"y":1e39,"w":1}', b'{"y":-2e13,"w":1}'],
    "bad_weight": [
        b'{"y":1}', b'{"y":1,"w":0}', b'{"y":1,"w":-1}', b'{"y":1,"w":1e39}', b'{"y":1,"w":1e-50}',
        b'{"y":1,"w":1.1e13}',
    ],
    "too_large": [
        b'{"y":1,"w":1,"x":1e39}', b'{"y":1,"w":1,"x":-1e308}', b'{"y":1,"w":1,"x":1.00001e13}',
        b'{"y":1,"w":1,"x":18446744073709551615}', b'{"y":1,"w":3,"x":-5e12}',
        b'{"y":1,"w":1e7,"x":1.1e6}', b'{"y":1,"w":1e-9,"x":2e13}',
    ],
    "too_many_entries": [
        b'{"y":1,"w":1,"a":[' + b",".join([b"1"] * 21) + b"]}",
        b'{"y":1,"w":1,"a":[1,2,3],"b":[1,2,3],"c":[1,2]}',
    ],
}  # fmt: skip


@pytest.mark.parametrize("reason", sorted(REJECTED))
def test_each_reason_has_its_events(reason: str) -> None:
    _, rejections = Decoder(FLAT).decode(REJECTED[reason])
    assert [rejection.reason for rejection in rejections] == [reason] * len(REJECTED[reason])
    check_like_oracle(FLAT, REJECTED[reason])


def test_every_reason_is_reached() -> None:
    assert {*REJECTED, "missing_feature", "unlearnable"} == set(REASONS)


@pytest.mark.parametrize(
    "event",
    [b'{"y":1,"x":1}', b'{"y":1,"x":1,"a":null}', b'{"y":1,"x":1,"a":[]}', b'{"y":1,"a":1}'],
)
def test_a_required_feature_may_not_be_missing(event: bytes) -> None:
    assert [r.reason for r in Decoder(BINARY).decode([event])[1]] == ["missing_feature"]


@pytest.mark.parametrize("label", [b"2", b"0.5", b"-1", b"1e300"])
def test_a_binary_learner_takes_labels_0_and_1_only(label: bytes) -> None:
    _, rejections = Decoder(BINARY).decode([b'{"a":1,"x":1,"y":' + label + b"}"])
    assert [rejection.reason for rejection in rejections] == ["bad_label"]


def test_a_clipped_number_may_have_any_size() -> None:
    batch, _ = Decoder(BINARY).decode([b'{"y":0,"a":1,"x":1e5}'])
    assert batch.values.tolist() == [1.0, float(np.float32(1e12)), 1.0, 1.0]


def test_bracket_characters_in_strings_do_not_count_as_depth() -> None:
    event = {"y": 1, "w": 1, "u": "[[[[{{{{" * 9, "a": '\\"[[[['}
    assert Decoder(FLAT).decode([json.dumps(event).encode()])[0].rows == 1


def test_depth_is_a_limit_not_a_cliff() -> None:
    assert Decoder(FLAT).decode([b'{"y":1,"w":1,"u":[[]]}'])[0].rows == 1
    assert Decoder(FLAT).decode([b'{"y":1,"w":1,"u":[[[]]]}'])[0].rows == 0


def test_a_million_combinations_are_refused_before_they_are_made() -> None:
    values = ",".join(str(number) for number in range(20))
    event = f'{{"y":1,"w":1,"a":[{values}],"b":[{values}],"c":[{values}]}}'.encode()
    assert [r.reason for r in Decoder(FLAT).decode([event])[1]] == ["too_many_entries"]


def test_true_and_one_are_two_values_whatever_came_before() -> None:
    decoder = Decoder(FLAT)
    one, _ = decoder.decode([b'{"y":1,"w":1,"a":1}'])
    true, _ = decoder.decode([b'{"y":1,"w":1,"a":true}', b'{"y":1,"w":1,"a":[true]}'])
    assert one.keys[0] == category_key(1, field_seed("a"))
    assert true.keys[0] == true.keys[2] == category_key("true", field_seed("a"))


def test_without_labels_neither_label_nor_weight_is_read() -> None:
    batch, rejections = Decoder(FLAT).decode([b'{"y":"?","w":-1,"x":2}', b"{}"], labelled=False)
    assert rejections == []
    assert batch.labels.tolist() == [0, 0]
    assert batch.weights.tolist() == [1, 1]
    assert batch.keys.tolist() == [field_seed("x"), BIAS_KEY, BIAS_KEY]
    assert batch.fields.tolist() == [list(FLAT.features).index("x"), BIAS_FIELD, BIAS_FIELD]


def test_no_records_make_an_empty_batch() -> None:
    batch, rejections = Decoder(NESTED).decode([])
    assert (batch.rows, batch.entries, batch.starts.tolist(), rejections) == (0, 0, [0], [])


def test_transforms_are_odd_functions() -> None:
    event = {"outcome": {"bought": 0, "weight": 1}, "search": {"words": "w"}}
    event |= {"shown": {"item": {"id": 1, "price": -7.0}}, "user": {"balance": -9}}
    batch, _ = Decoder(NESTED).decode([json.dumps(event).encode()])
    names = [*NESTED.features][: max(batch.fields[:-1]) + 1]
    by_name = {names[f]: v for f, v in zip(batch.fields[:-1], batch.values[:-1], strict=True)}
    assert by_name["balance"] == -3
    assert by_name["price"] == np.float32((-math.log1p(7.0) - 3.0) * 0.5)


def test_the_cache_of_keys_stays_bounded() -> None:
    cache = KeyCache(7)
    cache["x" * 65]
    assert len(cache) == 0
    for number in range(KeyCache.VALUES_MAX + 10):
        assert cache[number] == category_key(number, 7)
    assert len(cache) == 10
