"""The Python operators, fed with the wire's elements as Flink feeds them."""

from collections.abc import Iterable
from pathlib import Path
from typing import Any, cast
from uuid import UUID

import pytest

from strandline.commit.opening import Opening, append_open
from strandline.manifest import OpenKey
from strandline.store import create_store
from strandline_flink.operators import wire
from strandline_flink.operators.operators import Learn, Merge
from tests.jobs import block
from tests.streams import clicks, clicks_spec

STREAM, RUN = "events", UUID(int=1).hex
NOTHING = cast(Any, None)  # Flink's contexts, which no operator looks at
EPOCHS, EVENTS = 3, 400


@pytest.fixture
def store_url(tmp_path: Path) -> str:
    """A store with the open of a run."""
    url = str(tmp_path / "store")
    append_open(
        create_store(url, clicks_spec()),
        Opening(
            STREAM,
            run=RUN,
            key=OpenKey(restored=None, submission=RUN),
            positions={"0": 0},
            source={},
            time_ms=1,
        ),
    )
    return url


class Attempt:
    """A worker, and the mergers of its shards."""

    def __init__(self, store_url: str, shards: int, *, one_interpreter: bool) -> None:
        self.learn = Learn(store_url, STREAM, shards, one_interpreter=one_interpreter)
        self.mergers = [Merge(store_url, STREAM) for _ in range(shards)]
        for operator in (self.learn, *self.mergers):
            operator.open(NOTHING)
        for merger, start in zip(self.mergers, self.send(start_element()), strict=True):
            assert list(merger.process_element(start, NOTHING)) == []

    def send(self, element: bytes) -> list[bytes]:
        """What the worker answers, without accounts."""
        return without_accounts(self.learn.process_element(element, NOTHING))

    def epoch(self, number: int) -> list[bytes]:
        """What the worker sends at the end of an epoch."""
        first = number * EVENTS
        events = block(0, first, clicks(EVENTS, seed=number))
        assert self.send(wire.encode_block(events)) == []
        moves = f"[[0,{first},{first + EVENTS}]]"
        mark = f'M{{"checkpoint":{number},"moves":{moves},"time_ms":{number},"worker":0}}'
        return self.send(mark.encode())

    def cut(self, number: int, sent: Iterable[bytes]) -> list[bytes]:
        """What the mergers answer to a CUT behind what the worker sent."""
        for element in sent:
            assert list(self.mergers[element[1]].process_element(element, NOTHING)) == []
        cut = f'C{{"checkpoint":{number}}}'.encode()
        answers = [merger.process_element(cut, NOTHING) for merger in self.mergers]
        return [element for each in answers for element in without_accounts(each)]


def start_element() -> bytes:
    return b'S{"run":"%s","version":1,"worker":0,"workers":1}' % RUN.encode()


def without_accounts(elements: Iterable[bytes]) -> list[bytes]:
    return [element for element in elements if wire.kind(element) != wire.ACCOUNT]


@pytest.mark.parametrize("shards", [1, 3])
def test_deltas_that_stay_in_the_interpreter_make_the_epochs_of_those_that_are_sent(
    store_url: str, shards: int
) -> None:
    sent, held = (Attempt(store_url, shards, one_interpreter=each) for each in (False, True))
    for number in range(EPOCHS):
        deltas, keys = sent.epoch(number), held.epoch(number)
        assert [wire.kind(each) for each in (*deltas, *keys)] == [b"D"] * shards + [b"K"] * shards
        assert max(map(len, keys)) < 32 < min(map(len, deltas))
        epochs = sent.cut(number, deltas)
        assert {wire.kind(each) for each in epochs} == {b"P" if shards == 1 else b"Q"}
        assert held.cut(number, keys) == epochs


def test_a_delta_of_an_attempt_that_has_ended_makes_flink_restore_the_job(store_url: str) -> None:
    """Not an epoch without it, nor the job's end: an error that is none of ours."""
    ended, restored = (Attempt(store_url, 1, one_interpreter=True) for _ in range(2))
    keys = ended.epoch(0)
    del ended
    with pytest.raises(LookupError, match="its attempt has ended"):
        restored.cut(0, keys)
