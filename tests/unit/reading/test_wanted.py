"""A version by its time, by the events that must be in it, and no older than was asked for."""

import threading
import time
from datetime import UTC, datetime, timedelta

import pytest

from strandline.errors import ModelStale, StoreError, StoreUnavailable, WrongUsage
from strandline.reading.model import open_model
from strandline.reading.reader import Reader
from strandline.reading.wanted import missing, version_as_of
from strandline.store import MemoryStore, Store, create_store
from strandline.transactions.transaction import Stream, open_stream
from tests.streams import clicks, clicks_spec

SPEC = clicks_spec(bits=4)
FIRST_S = 1_700_000_000


def writer(store: Store, times_s: list[int]) -> Stream:
    clock = iter(1000 * at for at in times_s)
    return open_stream(store, "events", clock_ms=lambda: next(clock))


def learn(stream: Stream, events: int, seed: int = 0) -> None:
    with stream.begin() as transaction:
        transaction.learn(clicks(events, seed))


def grown() -> Store:
    """Versions 2, 3, 4 of FIRST_S + 10, + 20, + 30; genesis is of 1970, the open of FIRST_S."""
    store = create_store("memory:", SPEC)
    stream = writer(store, [FIRST_S, *(FIRST_S + 10 * n for n in (1, 2, 3))])
    for seed in range(3):
        learn(stream, 5, seed)
    return store


def at(seconds: float) -> datetime:
    return datetime.fromtimestamp(FIRST_S + seconds, UTC)


@pytest.mark.parametrize(
    ("seconds", "version"),
    [(-1, 0), (0, 1), (9.999, 1), (10, 2), (29, 3), (30, 4), (1e6, 4)],
)
def test_the_version_of_a_time_is_the_newest_that_is_not_later(
    seconds: float, version: int
) -> None:
    store = grown()
    assert version_as_of(store, at(seconds)) == version
    assert open_model(store, as_of=at(seconds)).version == version


def test_times_of_other_zones_are_the_same_times() -> None:
    zone = at(20).astimezone(tz=None) + timedelta(0)
    assert version_as_of(grown(), zone) == 3


def test_a_time_without_a_zone_and_one_before_the_store_are_refused() -> None:
    store = grown()
    with pytest.raises(WrongUsage, match="without a time zone"):
        open_model(store, as_of=datetime(2026, 1, 1))
    with pytest.raises(StoreError, match="has no version as of 1960"):
        open_model(store, as_of=datetime(1960, 1, 1, tzinfo=UTC))
    with pytest.raises(WrongUsage, match="expected one of them"):
        open_model(store, 3, as_of=at(0))


def test_a_clock_that_stepped_back_gives_a_version_of_the_time() -> None:
    store = create_store("memory:", SPEC)
    stream = writer(store, [FIRST_S, *(FIRST_S + s for s in (10, 40, 20, 30))])
    for seed in range(4):
        learn(stream, 5, seed)
    for seconds in range(0, 50, 5):
        version = version_as_of(store, at(seconds))
        assert open_model(store, version).time_ms <= 1000 * (FIRST_S + seconds)


def test_a_model_says_where_its_streams_stand() -> None:
    assert open_model(grown()).positions == {"events": {0: 15}}
    assert open_model(grown(), 0).positions == {}


def test_a_version_that_lacks_the_wanted_events_is_not_opened() -> None:
    store = grown()
    assert open_model(store, at_least={"events": {0: 15}}).version == 4
    with pytest.raises(StoreError, match=r"version 4 stands at .*15.*, expected at least .*16"):
        open_model(store, at_least={"events": {0: 16}})
    with pytest.raises(StoreError, match="expected at least"):
        open_model(store, at_least={"others": {3: 1}})
    assert missing({}, {"events": {0: 0}}) == {}, "nothing is asked for"


def test_a_producer_reads_its_own_write() -> None:
    store = create_store("memory:", SPEC)
    stream = open_stream(store, "events")
    with Reader(store) as reader:
        late = threading.Timer(0.2, lambda: learn(stream, 7))
        late.start()
        model = reader.wait(at_least={"events": {0: 7}}, timeout_s=20)
        assert model.positions == {"events": {0: 7}}
        late.join()
        with pytest.raises(TimeoutError, match=r"with positions .*8.* is not there after 0.05 s"):
            reader.wait(at_least={"events": {0: 8}}, timeout_s=0.05)


def test_a_reader_that_does_not_hear_of_its_store_is_stale(monkeypatch: pytest.MonkeyPatch) -> None:
    store = create_store("memory:", SPEC)
    stream = open_stream(store, "events")
    learn(stream, 5)
    with Reader(store) as reader:
        wait_until(lambda: reader.staleness_s < 0.2)
        reader.predict(clicks(1), "ctr", max_staleness_s=5)

        def away(self: MemoryStore, version: int) -> bytes:
            raise StoreUnavailable("the mount hangs")

        with monkeypatch.context() as patch:
            patch.setattr(MemoryStore, "manifest", away)
            wait_until(lambda: reader.staleness_s > 0.3)
            with pytest.raises(ModelStale, match=r"expected at most 0.2 s; last error: the mount"):
                reader.predict(clicks(1), "ctr", max_staleness_s=0.2)
            reader.predict(clicks(1), "ctr")
        wait_until(lambda: reader.staleness_s < 0.2)
        reader.predict(clicks(1), "ctr", max_staleness_s=5)


def wait_until(holds: object) -> None:
    assert callable(holds)
    deadline_s = time.monotonic() + 30
    while not holds():
        assert time.monotonic() < deadline_s
        time.sleep(0.01)
