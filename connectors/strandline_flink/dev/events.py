"""Click-through events without end, for the demo, for development and for tests.

The same seed and the same index always make the same bytes, in whatever pieces they are asked
for. A small share is malformed on purpose, in the ways of `MALFORMED`.
"""

import re
from collections.abc import Callable, Iterator
from importlib.resources import files
from typing import Final

import numpy as np

from strandline_flink.dev.click_world import DEVICES, PAGES, ClickWorld, Floats, Shown

CHUNK_EVENTS: Final = 4096  # events drawn together; part of what a seed means
START_MS: Final = 1_767_225_600_000  # the first event's time: 2026-01-01 UTC
STEP_MS: Final = 5

_EVENT: Final = (
    '{"event_id":"%x-%010d","time_ms":%d,%s,%s,"context":{"device":"%s","page":"%s",'
    '"position":%d,"hour":%d,"scroll":%s},"dwell_ms":%d,"click":%d}'
)


def clicks_spec() -> str:
    """Return the spec of these events, TOML text: the file clicks.toml of this package."""
    return files("strandline_flink.dev").joinpath("clicks.toml").read_text(encoding="utf-8")


def _replace(pattern: bytes, replacement: bytes) -> Callable[[bytes], bytes]:
    return lambda event: re.sub(pattern, replacement, event, count=1)


_CLICK: Final = rb'"click":[01]'
_PRICE: Final = rb'"price":[0-9.]+'
_SCROLL: Final = rb'"scroll":[0-9.]+'
_TAGS: Final = rb'"tags":\[[^]]*\]'
_ITEM_ID: Final = rb'"item":{"id":"[^"]*"'

MALFORMED: Final[tuple[tuple[str, Callable[[bytes], bytes]], ...]] = (
    ("empty", lambda _: b""),
    ("not_json", lambda event: event[: len(event) // 2]),
    ("not_json", _replace(_PRICE, b'"price":NaN')),
    ("not_json", lambda event: event + b"}"),
    ("not_json", lambda event: b"\xef\xbb\xbf" + event),
    ("not_json", _replace(b'"event_id":"', b'"event_id":"\xff')),
    ("wrong_type", lambda event: b"[" + event + b"]"),
    ("wrong_type", _replace(_PRICE, b'"price":"9.99"')),
    ("wrong_type", _replace(_PRICE, b'"price":1e999')),
    ("wrong_type", _replace(_ITEM_ID, b'"item":{"id":4.5')),
    ("wrong_type", _replace(_CLICK, b'"click":"yes"')),
    ("missing_label", _replace(b"," + _CLICK, b"")),
    ("missing_label", _replace(_CLICK, b'"click":null')),
    ("missing_feature", _replace(_ITEM_ID, b'"item":{"id":null')),
    ("bad_label", _replace(_CLICK, b'"click":7')),
    ("too_large", _replace(_SCROLL, b'"scroll":1e300')),
    ("too_long", _replace(b'"event_id":"', b'"event_id":"' + b"a" * 70_000)),
    ("too_deep", _replace(_TAGS, b'"tags":' + b"[" * 40 + b"]" * 40)),
    ("too_many_entries", _replace(_TAGS, b'"tags":[' + b"7," * 1500 + b"7]")),
)
"""(reason under the spec of these events, way to make it from a sound event)."""


class EventStream:
    """The click-through events of one seed.

    Parameters
    ----------
    seed
        From 0. Fixes users, items, the truth about clicks, and every event.
    malformed_share
        Share of events that are malformed, from 0 to 1.

    Examples
    --------
    >>> stream = EventStream(7)
    >>> stream.events(5000, 5002) == stream.events(4090, 5010)[910:912]
    True
    """

    def __init__(self, seed: int, malformed_share: float = 0.001) -> None:
        assert seed >= 0, f"a seed is from 0, got {seed}"
        assert 0 <= malformed_share <= 1, f"a share is from 0 to 1, got {malformed_share}"
        self._seed = seed
        self._malformed_share = malformed_share
        self._world = world = ClickWorld(seed)
        self._users = [
            f'"user":{{"id":"u{user:05d}","group":{group},"tenure_days":{days}}}'
            for user, (group, days) in enumerate(
                zip(world.group.tolist(), world.tenure_days.tolist(), strict=True)
            )
        ]
        self._items = [
            f'"item":{{"id":"i{item:04d}","category":"c{category:02d}","price":{price:.2f},'
            f'"age_days":{age:.1f},"tags":["t{tags[0]}","t{tags[1]}","t{tags[2]}"]}}'
            for item, (category, price, age, tags) in enumerate(
                zip(world.category.tolist(), world.price.tolist(), world.age_days.tolist(),
                    world.tags.tolist(), strict=True)
            )
        ]  # fmt: skip

    def events(self, first: int, end: int) -> list[bytes]:
        """Return the events with the indices from `first` up to, not including, `end`."""
        found: list[bytes] = []
        for chunk in range(first // CHUNK_EVENTS, -(-end // CHUNK_EVENTS)):
            start = chunk * CHUNK_EVENTS
            found += self._chunk(chunk)[max(first - start, 0) : end - start]
        return found

    def follow(self, first: int = 0) -> Iterator[list[bytes]]:
        """Yield lists of events from `first` on, without end."""
        while True:
            end = (first // CHUNK_EVENTS + 1) * CHUNK_EVENTS
            yield self.events(first, end)
            first = end

    def probabilities(self, first: int, end: int) -> Floats:
        """Return the true click probability of each event, malformed ones included."""
        chunks = range(first // CHUNK_EVENTS, -(-end // CHUNK_EVENTS))
        found = [self._draw(chunk)[1] for chunk in chunks]
        start = chunks.start * CHUNK_EVENTS
        drawn: Floats = np.concatenate([np.empty(0), *found])
        return drawn[first - start : end - start]

    def _draw(self, chunk: int) -> tuple[Shown, Floats, np.random.Generator]:
        """Draw a chunk; the generator comes back where the draws of clicks go on."""
        rng = np.random.default_rng([self._seed, 1, chunk])
        shown = self._world.show(rng, CHUNK_EVENTS)
        indices = np.arange(chunk * CHUNK_EVENTS, (chunk + 1) * CHUNK_EVENTS)
        return shown, self._world.probability(shown, indices), rng

    def _chunk(self, chunk: int) -> list[bytes]:
        shown, probability, rng = self._draw(chunk)
        clicks = (rng.random(CHUNK_EVENTS) < probability).astype(np.int64)
        malformed = np.flatnonzero(rng.random(CHUNK_EVENTS) < self._malformed_share)
        kinds = (rng.random(CHUNK_EVENTS) * len(MALFORMED)).astype(np.int64)
        events = self._render(chunk * CHUNK_EVENTS, shown, clicks.tolist())
        for index in malformed.tolist():
            _, make = MALFORMED[kinds[index]]
            events[index] = make(events[index])
        return events

    def _render(self, first: int, shown: Shown, clicks: list[int]) -> list[bytes]:
        seed, users, items = self._seed, self._users, self._items
        rows = zip(
            range(first, first + CHUNK_EVENTS),
            shown.user.tolist(), shown.item.tolist(), shown.device.tolist(), shown.page.tolist(),
            shown.position.tolist(), shown.hour.tolist(), shown.scroll.tolist(),
            shown.dwell_ms.tolist(), clicks, strict=True,
        )  # fmt: skip
        return [
            (_EVENT % (
                seed, index, START_MS + STEP_MS * index, users[user], items[item],
                DEVICES[device], PAGES[page], position, hour, scroll, dwell_ms, click,
            )).encode()
            for index, user, item, device, page, position, hour, scroll, dwell_ms, click in rows
        ]  # fmt: skip
