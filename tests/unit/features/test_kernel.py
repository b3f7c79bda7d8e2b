"""The kernel against the plain decoder, bit for bit, over hostile and ordinary events."""

import random
from itertools import islice
from pathlib import Path

import pytest

from strandline.features import Batch, Decoder, PlainDecoder
from strandline.spec import Spec
from strandline_flink.dev.events import EventStream, clicks_spec
from tests.hostile_events import events

SPECS = Path(__file__).parents[3] / "examples" / "specs"
WIDE = "\n".join(
    ['name = "wide"', 'label.path = "y"']
    + [f'features.i{n:02} = {{ kind = "number", transform = "log1p" }}' for n in range(13)]
    + [f'features.c{n:02}.kind = "category"' for n in range(26)]
    + ['learners.ctr.type = "ftrl"']
)
WEIGHTED = """
name = "weighted"
label.path = "y.label"
weight.path = "y.weight"
features.a = { kind = "category", path = "a" }
features.b = { kind = "category", path = "deep.er.b" }
features.b2 = { kind = "category", path = "deep.er.b", required = true }
features.x = { kind = "number", path = "deep.x", transform = "sqrt", scale = 1e9 }
features.z = { kind = "number", path = "deep.x", transform = "log1p", clip = [-1, 3] }
features.aa = { kind = "cross", of = ["b", "a"] }
features.four = { kind = "cross", of = ["a", "b", "b2", "a2"] }
features.a2 = { kind = "category", path = "a" }
learners.seen = { type = "counts", feature = "a" }
limits = { depth = 4, entries = 60, event_bytes = 600 }
"""
ALL = {
    "clicks": Spec.parse(clicks_spec()),
    "nested": Spec.load(SPECS / "nested.toml"),
    "wide": Spec.parse(WIDE),
    "weighted": Spec.parse(WEIGHTED),
}
BATCH = 500


def bits(batch: Batch) -> list[tuple[str, bytes]]:
    arrays = (batch.keys, batch.fields, batch.values, batch.starts, batch.labels, batch.weights)
    return [(array.dtype.str, array.tobytes()) for array in arrays]


def compare(spec: Spec, seed: int, count: int) -> int:
    """Decode so many events both ways; return how many the kernel left to the plain decoder."""
    decoder, plain = Decoder(spec), PlainDecoder(spec)
    stream, dice, left = events(spec, seed), random.Random(seed), 0
    while count > 0:
        records = list(islice(stream, dice.randrange(1, 2 * BATCH)))
        count -= len(records)
        labelled = dice.random() < 0.8
        batch, rejections, by_plain = decoder.decode_counted(records, labelled=labelled)
        wanted, wanted_rejections = plain.decode(records, labelled=labelled)
        if rejections != wanted_rejections or bits(batch) != bits(wanted):
            _name_the_record(spec, records, labelled)
        left += by_plain
    return left


def _name_the_record(spec: Spec, records: list[bytes | None], labelled: bool) -> None:
    for record in records:
        batch, rejections = Decoder(spec).decode([record], labelled=labelled)
        wanted, wanted_rejections = PlainDecoder(spec).decode([record], labelled=labelled)
        assert rejections == wanted_rejections, record
        assert bits(batch) == bits(wanted), record
    raise AssertionError("every event alone decodes alike, all of them together do not")


@pytest.mark.parametrize("name", ALL)
def test_the_kernel_decodes_like_the_plain_decoder(name: str) -> None:
    left = compare(ALL[name], seed=20_260, count=5_000)
    assert 0.05 < left / 5_000 < 0.75, "the events are ordinary enough, and hostile enough"


@pytest.mark.long
@pytest.mark.timeout(900)
@pytest.mark.parametrize("name", ALL)
def test_a_quarter_of_a_million_events_decode_alike(name: str) -> None:
    seed = random.SystemRandom().randrange(1 << 32)
    print(f"{name}: seed {seed}")
    left = compare(ALL[name], seed, count=250_000)
    print(f"{name}: {left} events went to the plain decoder")


def test_the_kernel_reads_every_sound_event_of_the_demo() -> None:
    records = EventStream(3, malformed_share=0.0).events(0, 2_000)
    batch, rejections, left = Decoder(ALL["clicks"]).decode_counted(records)
    assert (batch.rows, rejections, left) == (2_000, [], 0)


@pytest.mark.parametrize("usual", [0, 1, 8, 31, 32, 40])
def test_a_text_of_another_length_than_the_usual_is_read_whole(usual: int) -> None:
    """Each follows texts of one length; many a quote stands where theirs ended."""
    spec = Spec.parse("""
name = "usual"
label.path = "y"
features.a.kind = "category"
features.b.kind = "category"
learners.ctr.type = "ftrl"
""")
    usually = b'{"a":"%s","b":"x","y":1}' % (b"u" * usual)
    others = [b'{"a":"%s","b":"x","y":1}' % (b"o" * length) for length in range(50)]
    others += [b'{"a":"%s","b":"%s","y":1}' % (b"o" * max(usual - shift, 0), b"q" * shift)
               for shift in range(20)]  # fmt: skip
    others += [usually[:cut] for cut in range(len(usually))]
    others += [b'{"a":"%s\\"%s","b":"x","y":1}' % (b"o" * usual, b"o" * usual)]
    others += [b'{"a":"%s\xff","b":"x","y":1}' % (b"o" * max(usual - 1, 0))]
    for other in others:
        records = [usually, usually, other, usually]
        batch, rejections = Decoder(spec).decode(records)
        wanted, wanted_rejections = PlainDecoder(spec).decode(records)
        assert rejections == wanted_rejections, other
        assert bits(batch) == bits(wanted), other
