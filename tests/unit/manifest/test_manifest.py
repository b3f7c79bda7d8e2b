import copy
import json
import re
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from strandline.encoding.canonical import canonical_json
from strandline.errors import StoreDamaged
from strandline.limits import MANIFEST_BYTES_MAX
from strandline.manifest import (
    GenesisBody,
    Manifest,
    OpenBody,
    TrainBody,
    genesis,
    parse_manifest,
    render_manifest,
)
from strandline.store import MemoryStore, verify_chain
from tests.golden.commit_lines import C1, C2, RUN, SPEC, line, resealed

MADE = line().commit(C1).commit(C2).manifests
GENESIS, OPEN, TRAIN = (json.loads(manifest) for manifest in MADE[:3])


def test_genesis_is_these_bytes() -> None:
    assert genesis("0" * 64) == (
        b'{"body":{},"committable":null,'
        b'"digest":"2364c76c3aeefd776d6dd23284eb67e716846101b020aae2277d8db42e51cfed",'
        b'"format":1,"kind":"genesis","parent":null,"spec":"'
        + b"0" * 64
        + b'","streams":{},"time_ms":0,"version":0}'
    )


def test_every_kind_is_read() -> None:
    first, opened, trained, _ = (parse_manifest(manifest) for manifest in MADE)
    assert isinstance(first.body, GenesisBody)
    assert first.stream is None
    assert isinstance(opened.body, OpenBody)
    assert opened.stream == "events"
    assert opened.body.key.submission == RUN
    assert opened.body.previous is None
    assert isinstance(trained.body, TrainBody)
    assert trained.body.counts.learned == 58
    assert trained.body.deltas[0].spans == [(0, 100, 150), (1, 7, 17)]
    assert trained.body.files[0].ref.bytes == 7
    assert trained.body.prequential["ctr"].predictions == 1e-07
    assert trained.spec == SPEC


def test_a_manifest_cannot_be_changed() -> None:
    manifest = parse_manifest(MADE[1])
    with pytest.raises(AttributeError):
        manifest.version = 7  # type: ignore[misc]


@pytest.mark.parametrize("made", MADE[:3])
def test_render_makes_what_parse_read(made: bytes) -> None:
    manifest = parse_manifest(made)
    assert (
        render_manifest(
            body=canonical_json(json.loads(made)["body"]),
            committable=manifest.committable,
            kind=manifest.kind,
            parent=manifest.parent,
            spec=manifest.spec,
            streams=manifest.streams,
            time_ms=manifest.time_ms,
            version=manifest.version,
        )
        == made
    )


def changed(source: Any, path: str, value: Any) -> bytes:
    """Return the manifest with the value at the dotted path replaced; `...` deletes the key."""
    result = copy.deepcopy(source)
    *parents, last = path.split(".")
    node = result
    for key in parents:
        node = node[int(key) if isinstance(node, list) else key]
    if value is ...:
        del node[last]
    else:
        node[int(last) if isinstance(node, list) else last] = value
    try:
        return resealed(canonical_json(result))
    except (KeyError, ValueError):  # without the keys that a digest stands between
        return canonical_json(result)


STREAM = "streams.events"
DELTA = "body.deltas.0"


@pytest.mark.parametrize(
    ("source", "path", "value", "message"),
    [
        (TRAIN, "mood", "good", "unknown field `mood`"),
        (TRAIN, "body.mood", "good", "unknown field `mood`"),
        (TRAIN, f"{STREAM}.mood", "good", "unknown field `mood`"),
        (TRAIN, "time_ms", ..., "missing required field `time_ms`"),
        (TRAIN, "body.rejects", ..., "missing required field `rejects`"),
        (TRAIN, "time_ms", 1.5, "Expected `int`"),
        (TRAIN, "time_ms", True, "Expected `int`"),
        (TRAIN, "time_ms", -1, ">= 0"),
        (TRAIN, "time_ms", 1 << 63, "out of range|<= 9223372036854775807"),
        (TRAIN, "version", 10_000_000_000, "<= 9999999999"),
        (TRAIN, "spec", "0" * 63, "matching regex"),
        (TRAIN, "spec", "0" * 64 + "\n", "matching regex"),
        (TRAIN, "parent", "../../etc/passwd", "matching regex"),
        (TRAIN, "kind", "revert", "Invalid enum value 'revert'"),
        (TRAIN, "format", 0, "Invalid enum value 0"),
        (TRAIN, "format", 2, "format 2 is newer than this release reads"),
        (TRAIN, "format", "1", "Expected `int`"),
        (TRAIN, f"{STREAM}.positions", {"00": 1}, "matching regex"),
        (TRAIN, f"{STREAM}.positions", {"-1": 1}, "matching regex"),
        (TRAIN, f"{STREAM}.positions", {"0": -1}, ">= 0"),
        (TRAIN, f"{STREAM}.run", "g" * 32, "matching regex"),
        (TRAIN, f"{STREAM}.open", 0, ">= 1"),
        (TRAIN, f"{STREAM}.source", {"file": "x" * 4097}, "length <= 4096"),
        (TRAIN, f"{STREAM}.source", {f"k{n}": "" for n in range(17)}, "length <= 16"),
        (TRAIN, "streams", {"Events": TRAIN["streams"]["events"]}, "matching regex"),
        (TRAIN, "streams", {}, "expected exactly one"),
        (TRAIN, f"{STREAM}.version", 1, "expected exactly one"),
        (TRAIN, f"{STREAM}.version", 3, "stream at 3"),
        (TRAIN, f"{STREAM}.open", 2, "stream at 2"),
        (TRAIN, f"{STREAM}.open", 9, "open 9 is newer"),
        (TRAIN, "committable", None, "committable None"),
        (TRAIN, "parent", None, "parent None"),
        (TRAIN, "version", 0, "version 0 of kind train"),
        (TRAIN, "body", {}, "missing required field"),
        (TRAIN, "body.counts.learned", 57, "does not add up"),
        (TRAIN, f"{DELTA}.learned", 57, "do not add up"),
        (TRAIN, f"{DELTA}.refused", "not finite", "do not add up"),
        (TRAIN, "body.deltas", [], "the deltas' sums"),
        (TRAIN, f"{DELTA}.spans", [[0, 1]], "length 3"),
        (TRAIN, f"{DELTA}.worker", -1, ">= 0"),
        (TRAIN, "body.rejects.reasons", {}, "2 events rejected"),
        (TRAIN, "body.rejects.file", {"bytes": 1}, "missing required field `sha256`"),
        (OPEN, "body.previous", 1, "names 1 as the open before it"),
        (OPEN, "body.key.restored", -1, ">= 0"),
        (OPEN, "committable", "0" * 64, "kind open, committable"),
        (OPEN, "kind", "train", "committable None|unknown field"),
        (GENESIS, "body", {"mood": "good"}, "unknown field `mood`"),
        (GENESIS, "version", 1, "version 1 of kind genesis"),
        (GENESIS, "streams", OPEN["streams"], "version 0 names"),
    ],
)
def test_what_contradicts_the_format_is_refused(
    *, source: Any, path: str, value: Any, message: str
) -> None:
    with pytest.raises(StoreDamaged, match=message):
        parse_manifest(changed(source, path, value))


@pytest.mark.parametrize(
    ("old", "new"),
    [
        (b'"format":1', b'"format": 1'),
        (b'"format":1', b'"format":1,"format":1'),
        (b'"format":1', b'"format":1.0'),
        (b'"format":1', b'"format":1e0'),
        (b"1e-07", b"1e-7"),
        (b"1e-07", b"NaN"),
        (b"1e-07", b"1e999"),
        (b'"spec"', b'"sp\\u0065c"'),
        (b"\\u00e4", "ä".encode()),
        (b'"version":2}', b'"version":2}\n'),
        (b'{"body"', b'\xef\xbb\xbf{"body"'),
    ],
)
def test_other_spellings_of_the_same_manifest_are_refused(old: bytes, new: bytes) -> None:
    data = MADE[2].replace(old, new, 1)
    assert data != MADE[2]
    with pytest.raises(StoreDamaged):
        parse_manifest(data)


@pytest.mark.parametrize(
    "data",
    [b"[" * 1_000_000, b'{"body":' * 500_000, b" " * (MANIFEST_BYTES_MAX + 1), b"9" * 10_000],
    ids=["deep list", "deep object", "too long", "long number"],
)
def test_bombs_are_refused(data: bytes) -> None:
    with pytest.raises(StoreDamaged):
        parse_manifest(data)


def test_every_flipped_bit_below_head_breaks_the_chain() -> None:
    for version in range(3):
        for index in range(len(MADE[version])):
            altered = bytearray(MADE[version])
            altered[index] ^= 1 << index % 8
            store = MemoryStore()
            store.stage("spec", b"a spec")
            for number, made in enumerate(MADE):
                store.append(number, bytes(altered) if number == version else made)
            with pytest.raises(StoreDamaged):
                verify_chain(store)


@given(st.binary(max_size=400))
def test_arbitrary_bytes_are_refused(data: bytes) -> None:
    with pytest.raises(StoreDamaged):
        parse_manifest(data)


JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False) | st.text(max_size=8),
    lambda inner: (
        st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=8), inner, max_size=3)
    ),
    max_leaves=6,
)


def paths(node: Any, prefix: tuple[Any, ...] = ()) -> list[tuple[Any, ...]]:
    items = list(node.items() if isinstance(node, dict) else enumerate(node))
    found = [(*prefix, key) for key, _ in items]
    for key, value in items:
        if isinstance(value, dict | list):
            found += paths(value, (*prefix, key))
    return found


@given(st.data())
def test_mutated_manifests_are_read_or_refused(data: st.DataObject) -> None:
    """Whatever stands in the place of whatever: a manifest, or StoreDamaged, nothing else."""
    source = copy.deepcopy(data.draw(st.sampled_from([GENESIS, OPEN, TRAIN])))
    *parents, last = data.draw(st.sampled_from(paths(source)))
    node = source
    for key in parents:
        node = node[key]
    node[last] = data.draw(JSON.filter(lambda value: value not in (float("inf"), -float("inf"))))
    try:
        text = canonical_json(source)
    except ValueError:
        return
    try:
        manifest = parse_manifest(text)
    except StoreDamaged:
        return
    assert isinstance(manifest, Manifest)


@given(st.sampled_from(MADE), st.integers(0), st.integers(0), st.binary(max_size=6))
def test_spliced_manifests_are_read_or_refused(
    made: bytes, start: int, length: int, put: bytes
) -> None:
    start %= len(made)
    data = made[:start] + put + made[start + length % 40 :]
    try:
        manifest = parse_manifest(data)
    except StoreDamaged:
        return
    assert canonical_json(json.loads(data)) == data
    assert isinstance(manifest, Manifest)


def test_the_example_in_the_documentation_is_a_manifest() -> None:
    page = (Path(__file__).parents[3] / "docs" / "format.md").read_text()
    (example,) = re.findall(r"```json\n(.*?)```", page, re.DOTALL)
    manifest = parse_manifest(canonical_json(json.loads(example)))
    assert isinstance(manifest.body, TrainBody)
    assert manifest.stream == "events"
