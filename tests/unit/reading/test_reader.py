"""A following reader: whole versions only, never an older one, whatever happens meanwhile."""

import threading
import time
from collections.abc import Callable
from itertools import islice
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from strandline.errors import FileMissing, StoreDamaged, StoreUnavailable, StrandlineError
from strandline.manifest import FileRef, TrainBody
from strandline.reading import reader as reader_module
from strandline.reading.model import Predictions, open_model
from strandline.reading.reader import Follower, Reader
from strandline.store import MemoryStore, create_store, read_manifest
from strandline.store.base import FileKind
from strandline.transactions.transaction import Stream, open_stream
from strandline.upkeep.compactor import Compactor
from tests.streams import clicks, clicks_spec

SPEC = clicks_spec(bits=10)
ASKED = clicks(20, 99)


def learn(stream: Stream, seed: int) -> int:
    with stream.begin() as transaction:
        transaction.learn(clicks(40, seed))
    return stream.version


@pytest.fixture(autouse=True)
def quick_retries(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(reader_module, "AFTER_ERROR_MS", 5)


@pytest.fixture
def store() -> MemoryStore:
    made = create_store("memory:", SPEC)
    assert isinstance(made, MemoryStore)
    return made


@pytest.mark.parametrize("kind", ["memory", "posix"])
def test_beside_a_writer_no_gap_no_step_back_and_scores_agree(kind: str, tmp_path: Path) -> None:
    store = create_store("memory:" if kind == "memory" else str(tmp_path / "store"), SPEC)
    stream = open_stream(store, "events")
    versions = 60
    seen: list[list[Predictions]] = [[], []]
    done = threading.Event()

    def ask(found: list[Predictions], reader: Reader) -> None:
        while not done.is_set():
            found.append(reader.predict(ASKED))

    with Reader(store, poll_ms=1) as reader:
        askers = [threading.Thread(target=ask, args=(found, reader)) for found in seen]
        for asker in askers:
            asker.start()
        for seed in range(versions):
            learn(stream, seed)
            if seed % 4 == 0:  # else the writer may be done before a reader has had its turn
                reader.wait(stream.version, timeout_s=20)
                while any(not found or found[-1].version < stream.version for found in seen):
                    time.sleep(0.001)
        reader.wait(stream.version, timeout_s=20)
        while any(not found or found[-1].version < stream.version for found in seen):
            time.sleep(0.005)
        done.set()
        for asker in askers:
            asker.join()
        assert reader.error is None
    expected = {
        version: open_model(store, version).predict(ASKED).scores
        for version in {each.version for found in seen for each in found}
    }
    assert len(expected) > 10, "the readers met many versions"
    for found in seen:
        numbers = [each.version for each in found]
        assert numbers == sorted(numbers)
        assert numbers[-1] == stream.version
        for each in found:
            np.testing.assert_array_equal(each.scores, expected[each.version])


def test_a_model_that_is_held_stays_at_its_version(store: MemoryStore) -> None:
    stream, follower = open_stream(store, "events"), Follower(store)
    held = []
    for seed in range(8):
        learn(stream, seed)
        assert follower.step()
        if seed in (1, 2, 5):
            held.append(follower.model)
    assert not follower.step()
    for model in [*held, follower.model]:
        expected = open_model(store, model.version).predict(ASKED).scores
        np.testing.assert_array_equal(model.predict(ASKED).scores, expected)


def test_following_copies_no_table_while_nobody_holds_a_model(store: MemoryStore) -> None:
    stream, follower = open_stream(store, "events"), Follower(store)
    tables = set()
    for seed in range(6):
        learn(stream, seed)
        follower.step()
        tables.add(id(follower.model._parameters["ctr.zn"]))
    assert len(tables) == 2


class Window:
    """A store as a reader sees it: versions up to `visible`, and what `before_read` does."""

    def __init__(self, store: MemoryStore, visible: int) -> None:
        self._store = store
        self.visible = visible
        self.before_read: Callable[[], object] = lambda: None

    def __getattr__(self, name: str) -> Any:
        return getattr(self._store, name)

    def head(self, at_least: int = 0) -> int:
        return min(self._store.head(at_least), self.visible)

    def manifest(self, version: int) -> bytes | None:
        return self._store.manifest(version) if version <= self.visible else None

    def read(self, kind: FileKind, ref: FileRef | str) -> bytes:
        self.before_read()
        return self._store.read(kind, ref)


def wait_for_error(reader: Reader, kind: type[Exception] | None) -> None:
    deadline = time.monotonic() + 60
    while type(reader.error) is not (kind or type(None)):
        assert time.monotonic() < deadline, reader.error
        time.sleep(0.002)


def test_a_damaged_delta_leaves_the_old_model_serving(store: MemoryStore) -> None:
    stream = open_stream(store, "events")
    good, bad = learn(stream, 1), learn(stream, 2)
    window = Window(store, visible=good)
    body = read_manifest(store, bad).body
    assert isinstance(body, TrainBody)
    key: tuple[FileKind, str] = ("delta", body.files[0].sha256)
    whole = store._files[key]
    with Reader(window, poll_ms=1) as reader:
        before = reader.predict(ASKED)
        store._files[key] = whole[:-1] + bytes([whole[-1] ^ 1])
        window.visible = bad
        with pytest.raises(StoreDamaged, match="altered"):
            reader.wait(bad, timeout_s=5)
        assert isinstance(reader.error, StoreDamaged)
        after = reader.predict(ASKED)
        assert (before.version, after.version) == (good, good)
        np.testing.assert_array_equal(after.scores, before.scores)
        store._files[key] = whole
        wait_for_error(reader, None)
        assert reader.wait(bad, timeout_s=5).version == bad
    expected = open_model(store).predict(ASKED).scores
    np.testing.assert_array_equal(reader.predict(ASKED).scores, expected)


def test_a_store_that_does_not_answer_is_no_reason_to_stop(store: MemoryStore) -> None:
    stream = open_stream(store, "events")
    good, later = learn(stream, 1), learn(stream, 2)
    window = Window(store, visible=good)

    def fail() -> None:
        raise StoreUnavailable("the folder is away")

    with Reader(window, poll_ms=1) as reader:
        window.before_read = fail
        window.visible = later
        wait_for_error(reader, StoreUnavailable)
        with pytest.raises(
            TimeoutError, match=r"serving version 2, last error: the folder is away"
        ):
            reader.wait(later, timeout_s=0.02)
        window.before_read = lambda: None
        assert reader.wait(later, timeout_s=5).version == later
        assert reader.error is None


def test_a_version_that_appears_while_another_is_read_comes_next(store: MemoryStore) -> None:
    stream = open_stream(store, "events")
    window = Window(store, visible=10**9)
    follower = Follower(window)
    learn(stream, 1)
    more = iter(range(2, 5))
    window.before_read = lambda: [learn(stream, seed) for seed in islice(more, 1)]
    versions = []
    while follower.step():
        versions.append(follower.model.version)
    assert versions[-1] == stream.version == 5
    for version in versions:
        assert version <= 5
    expected = open_model(store).predict(ASKED).scores
    np.testing.assert_array_equal(follower.model.predict(ASKED).scores, expected)


def test_a_follower_that_is_far_behind_takes_up_a_bounded_part_at_a_time(
    store: MemoryStore, monkeypatch: pytest.MonkeyPatch
) -> None:
    stream = open_stream(store, "events")
    follower = Follower(store)
    for seed in range(4):
        learn(stream, seed)
    monkeypatch.setattr(reader_module, "TAKE_UP_BYTES_MAX", 1)
    versions = []
    while follower.step():
        versions.append(follower.model.version)
        expected = open_model(store, follower.model.version).predict(ASKED).scores
        np.testing.assert_array_equal(follower.model.predict(ASKED).scores, expected)
    assert versions == [2, 3, 4, 5]


def test_a_manifest_under_another_number_is_never_served(store: MemoryStore) -> None:
    stream = open_stream(store, "events")
    learn(stream, 1)
    follower = Follower(store)
    store._versions[3] = store._versions[2]
    with pytest.raises(StoreDamaged, match="version 3 holds the manifest of version 2"):
        follower.step()
    assert follower.model.version == 2


def test_a_reader_that_is_not_open_says_so(store: MemoryStore) -> None:
    with pytest.raises(StrandlineError, match="call follow"):
        Reader(store).predict(ASKED)


def test_a_reader_follows_once(store: MemoryStore) -> None:
    with Reader(store) as reader, pytest.raises(StrandlineError, match="followed already"):
        reader.follow()


def test_waiting_ends_in_time(store: MemoryStore) -> None:
    with Reader(store, poll_ms=1) as reader, pytest.raises(TimeoutError, match="version 1 is not"):
        reader.wait(1, timeout_s=0.01)


def test_a_closed_reader_serves_on_and_follows_no_more(store: MemoryStore) -> None:
    stream = open_stream(store, "events")
    with Reader(store, poll_ms=1) as reader:
        reader.wait(1, timeout_s=5)
    learn(stream, 1)
    assert reader.predict(ASKED).version == 1
    assert not any(thread.name == "strandline-reader" for thread in threading.enumerate())


def test_a_reader_behind_what_compaction_kept_opens_head_anew(store: MemoryStore) -> None:
    stream = open_stream(store, "events")
    learn(stream, 0)
    follower = Follower(store)
    held = follower.model
    before = held.predict(ASKED).scores.tobytes()
    for seed in range(1, 7):
        learn(stream, seed)
    compactor = Compactor(store, every=2, keep_versions=0)
    compactor.run_once()
    assert compactor.collect().files == 7
    assert follower.step()
    assert follower.model.version == 8
    expected = open_model(store).predict(ASKED).scores.tobytes()
    assert follower.model.predict(ASKED).scores.tobytes() == expected
    assert held.predict(ASKED).scores.tobytes() == before != expected
    learn(stream, 7)
    assert follower.step()
    assert not follower.step()
    assert follower.model.version == 9


def test_a_lost_delta_without_a_later_base_is_no_compaction(store: MemoryStore) -> None:
    stream = open_stream(store, "events")
    follower = Follower(store)
    learn(stream, 0)
    (name,) = store.staged("delta")
    store.discard("delta", name)
    with pytest.raises(FileMissing):
        follower.step()
    assert follower.model.version == 1
