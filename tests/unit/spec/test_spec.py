"""Specs: what is written out, what is refused and in which words, and that nothing is lost."""

from pathlib import Path
from typing import Any

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st

from strandline.encoding.canonical import canonical_json
from strandline.errors import SpecError
from strandline.limits import FEATURES_MAX, LEARNERS_MAX, SPEC_BYTES_MAX
from strandline.spec import Category, CountsSpec, Cross, FtrlSpec, Number, Spec

SPECS = Path(__file__).parents[3] / "examples" / "specs"
SMALL = """
name = "small"
label.path = "click"
[features.user]
kind = "category"
[features.item]
kind = "category"
path = "item.id"
[features.price]
kind = "number"
[features.both]
kind = "cross"
of = ["user", "item"]
[learners.ctr]
type = "ftrl"
[learners.seen]
type = "counts"
feature = "item"
"""
WRITTEN_OUT = {
    "name": "small",
    "label": {"path": "click"},
    "weight": None,
    "features": {
        "both": {"kind": "cross", "of": ["user", "item"]},
        "item": {"kind": "category", "path": "item.id", "required": False},
        "price": {"kind": "number", "path": "price", "transform": "none", "offset": 0.0,
                  "scale": 1.0, "clip": None, "required": False},
        "user": {"kind": "category", "path": "user", "required": False},
    },
    "learners": {
        "ctr": {"type": "ftrl", "features": ["both", "item", "price", "user"], "alpha": 0.05,
                "beta": 1.0, "l1": 0.0, "l2": 0.0, "bits": 18, "merge": "matched"},
        "seen": {"type": "counts", "feature": "item", "half_life_s": None, "merge": "sum"},
    },
    "limits": {"event_bytes": 65536, "depth": 16, "entries": 1024, "rejected_share": 0.5},
}  # fmt: skip


def test_defaults_are_written_out() -> None:
    spec = Spec.parse(SMALL)
    assert spec.to_json() == canonical_json(WRITTEN_OUT)
    assert spec.sha256 == "da8fca181b97d4026bbdb85ee3c074e0af3f47346da1f90a20fe968fcfb54e01"
    assert Spec.from_json(spec.to_json()) == spec


def test_parts_have_their_types_and_the_order_of_their_names() -> None:
    spec = Spec.parse(SMALL)
    assert list(spec.features) == ["both", "item", "price", "user"]
    assert [type(feature) for feature in spec.features.values()] == [
        Cross, Category, Number, Category,
    ]  # fmt: skip
    assert isinstance(spec.learners["ctr"], FtrlSpec)
    assert isinstance(spec.learners["seen"], CountsSpec)


def test_the_order_of_the_text_changes_no_byte() -> None:
    head, *blocks = SMALL.split("\n[")
    shuffled = "\n[".join([head, *reversed(blocks)])
    assert shuffled != SMALL
    assert Spec.parse(shuffled).to_json() == Spec.parse(SMALL).to_json()


def test_an_integer_for_a_number_changes_no_byte() -> None:
    whole = SMALL.replace('"ftrl"', '"ftrl"\nbeta = 1')
    assert Spec.parse(whole).sha256 == Spec.parse(SMALL).sha256


def test_a_spec_does_not_change() -> None:
    with pytest.raises(AttributeError):
        Spec.parse(SMALL).name = "other"  # type: ignore[misc]


@pytest.mark.parametrize("name", ["clicks", "nested"])
def test_examples_are_legal(name: str) -> None:
    spec = Spec.load(SPECS / f"{name}.toml")
    assert spec.name == name
    assert Spec.from_json(spec.to_json()) == spec


REFUSED = [
    ('name = "small"', 'name = "Small"', "name: expected a name like", "'Small'"),
    ('name = "small"', 'name = "small\\n"', "name: expected a name like", "'small\\n'"),
    ('name = "small"', "", "name: expected this part of a spec", "got nothing"),
    ("label.path", "labels.path", "labels: expected a part", "did you mean 'label'?"),
    ('label.path = "click"', 'label = "click"', "label: expected a table", "got 'click'"),
    ('label.path = "click"', "label.path = 3", "label.path: expected `str`", "got 3"),
    ('label.path = "click"', "label.path = 2020-01-01", "label.path: expected `str`", "date"),
    ('"click"', '"item.id"', "features.item.path: expected a path that label.path does not", ""),
    ('"click"', '"item"', "features.item.path: expected a path that does not lead through", ""),
    ('"click"', '"user.id"', "label.path: expected a path that does not lead through", "user.id"),
    ('"click"', '"price"', "features.price.path", "got 'price'"),
    ('"click"', '"a..b"', "label.path: expected keys joined by single dots", "'a..b'"),
    ('"click"', '""', "label.path", "got ''"),
    ('"click"', '"a\\u0000"', "label.path: expected keys joined", ""),
    ('"click"', '"' + "a." * 16 + 'a"', "label.path: expected at most limits.depth = 16", ""),
    ("[features.user]", "[features.User]", "features.User: expected a name", "'User'"),
    ("[features.user]", '[features."a b"]', "features.a b: expected a name", "'a b'"),
    ('kind = "number"', 'kind = "numbr"', "features.price.kind: expected one of", "'number'?"),
    ('kind = "number"', "", "features.price.kind: expected one of: category, cross, number", ""),
    ('kind = "number"', 'kind = ["number"]', "features.price.kind: expected one of", ""),
    ('kind = "number"', 'kind = "number"\nclip = [1, 1]', "features.price.clip: expected", "1.0]"),
    ('kind = "number"', 'kind = "number"\nclip = [0, inf]', "features.price.clip[1]", "got inf"),
    ('kind = "number"', 'kind = "number"\nclip = [0]', "features.price.clip", "got [0]"),
    ('kind = "number"', 'kind = "number"\nscale = 0', "features.price.scale", "got 0.0"),
    ('kind = "number"', 'kind = "number"\noffset = nan', "features.price.offset", "got nan"),
    ('kind = "number"', 'kind = "number"\ntransform = "log"', "price.transform", "'log1p'?"),
    ('kind = "number"', 'kind = "number"\nrequired = 1', "features.price.required", "got 1"),
    ('"user", "item"', '"user", "itme"', "features.both.of[1]: expected a category", "'item'?"),
    ('"user", "item"', '"user", "price"', "features.both.of[1]: expected a category", "'price'"),
    ('"user", "item"', '"user", "both"', "features.both.of[1]: expected a category", "'both'"),
    ('"user", "item"', '"user", "user"', "features.both.of[1]: expected each name once", "user"),
    ('"user", "item"', '"user"', "features.both.of", "got ['user']"),
    ('"ftrl"', '"ftlr"', "learners.ctr.type: expected one of: counts, ftrl", "'ftrl'?"),
    ('"ftrl"', '"ftrl"\nbit = 9', "learners.ctr.bit: expected a setting", "did you mean 'bits'?"),
    ('"ftrl"', '"ftrl"\nbits = 0', "learners.ctr.bits: expected `int` >= 1", "got 0"),
    ('"ftrl"', '"ftrl"\nbits = 29', "learners.ctr.bits: expected `int` <= 28", "got 29"),
    ('"ftrl"', '"ftrl"\nbits = true', "learners.ctr.bits: expected `int`", "got True"),
    ('"ftrl"', '"ftrl"\nalpha = 0', "learners.ctr.alpha: expected `float` > 0", "got 0"),
    ('"ftrl"', '"ftrl"\nalpha = inf', "learners.ctr.alpha", "got inf"),
    ('"ftrl"', '"ftrl"\nbeta = -1', "learners.ctr.beta", "got -1"),
    ('"ftrl"', '"ftrl"\nl1 = -0.1', "learners.ctr.l1: expected `float` >= 0", "got -0.1"),
    ('"ftrl"', '"ftrl"\nl2 = "0"', "learners.ctr.l2: expected `float`", "got '0'"),
    ('"ftrl"', '"ftrl"\nmerge = "max"', "learners.ctr.merge: expected one of", "got 'max'"),
    ('"ftrl"', '"ftrl"\nfeatures = []', "learners.ctr.features", "got []"),
    ('"ftrl"', '"ftrl"\nfeatures = ["usr"]', "learners.ctr.features[0]", "did you mean 'user'?"),
    ('feature = "item"', "", "learners.seen.feature: expected a value", "got nothing"),
    ('feature = "item"', 'feature = "price"', "learners.seen.feature: expected a category", ""),
    ('feature = "item"', 'feature = "item"\nmerge = "mean"', "learners.seen.merge", "'mean'"),
    ('feature = "item"', 'feature = "item"\n[limits]\ndepth = 0', "limits.depth", "got 0"),
    ('feature = "item"', 'feature = "item"\n[limits]\ndepth = 129', "limits.depth", "got 129"),
    ('feature = "item"', 'feature = "item"\n[limits]\nentries = 0', "limits.entries", "got 0"),
    ('feature = "item"', 'feature = "item"\n[limits]\nevent_bytes = 99999999', "event_bytes", ""),
    ('feature = "item"', 'feature = "item"\n[limits]\nrejected_share = 1.1', "rejected_share", ""),
    ('feature = "item"', 'feature = "item"\n[weight]', "weight.path: expected a value", "nothing"),
    ('feature = "item"', 'feature = "item"\nfeature = "user"', "expected TOML", ""),
    ('feature = "item"', 'x = [' * 5000, "expected TOML", ""),
    ('feature = "item"', "feature = " + "9" * 5000, "expected TOML", ""),
]  # fmt: skip


@pytest.mark.parametrize(("old", "new", "place", "got"), REFUSED)
def test_what_is_not_legal_is_refused_by_place_need_and_find(
    old: str, new: str, place: str, got: str
) -> None:
    assert SMALL.count(old) == 1
    with pytest.raises(SpecError) as refused:
        Spec.parse(SMALL.replace(old, new), origin="a.toml")
    assert str(refused.value).startswith("a.toml: ")
    assert place in str(refused.value)
    assert got in str(refused.value)
    assert len(str(refused.value)) < 600


@pytest.mark.parametrize(
    "data", [b"", b"[]", b"{", b"\xff", b'{"name":1e999}', b"[" * 100_000, b"9" * 5000, b"null"]
)
def test_bytes_that_are_no_spec_are_refused(data: bytes) -> None:
    with pytest.raises(SpecError, match="<json>"):
        Spec.from_json(data)


def test_a_spec_of_any_size_is_refused_before_it_is_read() -> None:
    with pytest.raises(SpecError, match=f"at most {SPEC_BYTES_MAX} bytes"):
        Spec.parse(SMALL + "#" * SPEC_BYTES_MAX)
    with pytest.raises(SpecError, match=f"at most {SPEC_BYTES_MAX} bytes"):
        Spec.from_json(b" " * (SPEC_BYTES_MAX + 1))


def test_there_may_not_be_too_many_parts() -> None:
    raw: dict[str, Any] = {
        **WRITTEN_OUT,
        "features": {f"f{n}": {"kind": "category"} for n in range(FEATURES_MAX + 1)},
        "learners": {f"l{n}": {"type": "counts", "feature": "f1"} for n in range(LEARNERS_MAX + 1)},
    }
    with pytest.raises(SpecError, match="features: expected 1 to 1024 features, got 1025"):
        Spec.from_json(canonical_json(raw))
    raw["features"].popitem()
    with pytest.raises(SpecError, match="learners: expected 1 to 16 learners, got 17"):
        Spec.from_json(canonical_json(raw))
    raw["learners"].popitem()
    assert len(Spec.from_json(canonical_json(raw)).features) == FEATURES_MAX


def test_a_file_that_cannot_be_read_is_named(tmp_path: Path) -> None:
    with pytest.raises(SpecError, match=r"absent\.toml: expected a TOML file"):
        Spec.load(tmp_path / "absent.toml")
    (tmp_path / "latin.toml").write_bytes(b'name = "\xe9"')
    with pytest.raises(SpecError, match=r"latin\.toml: expected a TOML file in UTF-8"):
        Spec.load(tmp_path / "latin.toml")
    (tmp_path / "empty.toml").write_bytes(b"")
    with pytest.raises(SpecError, match=r"empty\.toml: name: expected this part"):
        Spec.load(tmp_path / "empty.toml")


names = st.from_regex(r"[a-z0-9][a-z0-9._-]{0,8}", fullmatch=True)
finite = st.floats(-1e6, 1e6) | st.integers(-1000, 1000)
positive = st.floats(1e-6, 1e6) | st.integers(1, 1000)
numbers = st.fixed_dictionaries(
    {"kind": st.just("number")},
    optional={
        "transform": st.sampled_from(["none", "log1p", "sqrt"]), "offset": finite,
        "scale": positive, "clip": st.tuples(st.floats(-9, -1), positive),
        "required": st.booleans(),
    },
)  # fmt: skip
ftrls = st.fixed_dictionaries(
    {"type": st.just("ftrl")},
    optional={
        "alpha": positive, "beta": positive, "l1": st.floats(0, 9), "l2": st.floats(0, 9),
        "bits": st.integers(1, 28), "merge": st.sampled_from(["matched", "mean", "sum"]),
    },
)  # fmt: skip


@st.composite
def raw_specs(draw: st.DrawFn) -> dict[str, Any]:
    kinds = draw(st.dictionaries(names, st.booleans(), min_size=2, max_size=6))
    features: dict[str, dict[str, Any]] = {}
    for index, (name, number) in enumerate(kinds.items()):
        features[name] = draw(numbers) if number else {"kind": "category"}
        features[name]["path"] = f"in.{draw(st.sampled_from('äxπ'))}{index}"
    categories = [name for name, number in kinds.items() if not number]
    if len(categories) >= 2:
        features["a-cross-of-them"] = {"kind": "cross", "of": categories}
    learners = draw(st.dictionaries(names, ftrls, min_size=1, max_size=3))
    if categories:
        learners["z-count-of-them"] = {"type": "counts", "feature": categories[0]}
    raw = {"name": draw(names), "label": {"path": "y"}, "features": features, "learners": learners}
    if draw(st.booleans()):
        raw |= {"weight": {"path": "w"}, "limits": {"depth": draw(st.integers(2, 128))}}
    return raw


@given(raw_specs())
def test_a_spec_survives_its_json(raw: dict[str, Any]) -> None:
    spec = Spec.from_json(msgspec.json.encode(raw))
    written = spec.to_json()
    assert Spec.from_json(written) == spec
    assert Spec.from_json(written).to_json() == written
    assert canonical_json(msgspec.json.decode(written)) == written


anything = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False, allow_infinity=False)
    | st.text(max_size=5),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=5), inner),
    max_leaves=8,
)  # fmt: skip


@given(raw_specs(), st.data())
def test_a_spec_with_a_part_replaced_is_legal_or_a_spec_error(
    raw: dict[str, Any], data: st.DataObject
) -> None:
    table = raw
    while True:
        key = data.draw(st.sampled_from(sorted(table)))
        if not isinstance(table[key], dict) or data.draw(st.booleans()):
            break
        table = table[key]
    table[key] = data.draw(anything)
    try:
        spec = Spec.from_json(canonical_json(raw))
    except SpecError:
        return
    assert Spec.from_json(spec.to_json()) == spec


@given(st.text())
def test_any_text_is_a_spec_error(text: str) -> None:
    with pytest.raises(SpecError):
        Spec.parse(text)
