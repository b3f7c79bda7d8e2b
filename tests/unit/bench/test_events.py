"""The events of the throughput benches: sound, the same in both forms, with something to learn."""

import json
import re
from typing import Any

from bench.events import CATEGORIES, CHUNK_EVENTS, NUMBERS, SPEC, VW_TEXT, lines
from strandline.features.decoder import Decoder
from strandline.spec import Spec


def whole(count: int, **arguments: Any) -> list[bytes]:
    return b"".join(lines(count, **arguments)).splitlines()


def test_every_event_is_sound() -> None:
    events = whole(500)
    batch, rejections = Decoder(Spec.parse(SPEC)).decode(events)
    assert not rejections
    assert batch.rows == 500
    assert 0.15 < batch.labels.mean() < 0.35
    assert 550 < sum(map(len, events)) / 500 < 620


def test_an_event_has_what_the_bench_says() -> None:
    event = json.loads(whole(1)[0])
    assert len([name for name in event if re.fullmatch(r"i\d+", name)]) == NUMBERS
    assert len([name for name in event if re.fullmatch(r"c\d+", name)]) == CATEGORIES
    assert event["_label"] in (0, 1)


def test_a_piece_holds_the_same_events_as_the_whole() -> None:
    assert whole(100, first=CHUNK_EVENTS - 50) == whole(CHUNK_EVENTS + 50)[-100:]


def test_both_forms_say_the_same() -> None:
    texts = b"".join(lines(100, VW_TEXT)).decode().splitlines()
    for event, text in zip(map(json.loads, whole(100)), texts, strict=True):
        label, _, features = text.partition(" | ")
        assert int(label) == event["_label"]
        said: dict[str, object] = {}
        for feature in features.split():
            name, number, category = re.findall(r"(\w+)(?::([\d.]+)|=(\w+))", feature)[0]
            said[name] = category or float(number)
        assert said == {name: value for name, value in event.items() if name[0] != "_"}
