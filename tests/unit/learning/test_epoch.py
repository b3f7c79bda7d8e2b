"""What a worker's account of an epoch holds: batches, spans, times, rejected events."""

import base64
import hashlib
import json

import numpy as np
import pytest

from strandline.events.block import Block
from strandline.events.records import Records
from strandline.features import Rejection
from strandline.learning.epoch import BATCH_EVENTS, Epoch
from strandline.learning.rejects import DETAIL_CHARS_MAX, reject_line
from strandline.manifest import Span, join_spans
from strandline.metrics.prequential import add_sums, is_finite
from strandline.metrics.scoring import prequential_sums
from tests.jobs import block


@pytest.mark.parametrize("sizes", [[1] * 5, [BATCH_EVENTS], [BATCH_EVENTS - 1, 2], [3, 9000, 1]])
def test_batches_are_counted_from_the_mark_not_by_block(sizes: list[int]) -> None:
    epoch, parts, ends, first = Epoch(), [], [], 10
    for size in sizes:
        values = [str(at).encode() for at in range(first, first + size)]
        for part in epoch.take_in(block(3, first, values)):
            parts.append(part)
            ends += [epoch.events] * epoch.ends_batch
        first += size
    assert ends == list(range(BATCH_EVENTS, sum(sizes) + 1, BATCH_EVENTS))
    assert max(len(part.records) for part in parts) <= BATCH_EVENTS
    offsets = np.concatenate([part.offsets for part in parts])
    assert offsets.tolist() == list(range(10, first))
    assert [v for part in parts for v in part.records] == [str(at).encode() for at in offsets]
    assert join_spans(epoch.spans) == (Span(3, 10, first),)


def test_a_batchs_sums_do_not_depend_on_its_parts() -> None:
    rng = np.random.default_rng(3)
    p, w = rng.random((2, BATCH_EVENTS), np.float32)
    y = (p > w).astype(np.float32)
    whole, parts = Epoch(), Epoch()
    whole.score("ctr", p, y, w)
    for begin, end in [(0, 1), (1, 700), (700, BATCH_EVENTS)]:
        parts.score("ctr", p[begin:end], y[begin:end], w[begin:end])
    for epoch in (whole, parts):
        epoch.add_up({"ctr": True})
        epoch.add_up({"ctr": True})
    assert parts.prequential == whole.prequential
    assert whole.prequential["ctr"] == [prequential_sums(p, y, w)]


def test_event_times_are_those_of_blocks_that_have_times() -> None:
    epoch, none = Epoch(), np.empty(0, np.int64)
    assert epoch.event_time_ms == (0, 0)
    for first, last in [(0, 0), (70, 90), (50, 60)]:
        list(epoch.take_in(Block(0, 0, 1, none, Records.of([]), first, last)))
    assert epoch.event_time_ms == (50, 90)


def test_rejected_events_are_named_by_partition_and_offset() -> None:
    epoch = Epoch()
    (one,) = epoch.take_in(block(1, 5, [b"a", b"b"]))
    (other,) = epoch.take_in(block(0, 40, [b"c"]))
    epoch.reject(one, [Rejection(1, "not_json", "x")])
    epoch.reject(other, [Rejection(0, "empty", "y")])
    lines = [json.loads(line) for line in epoch.rejects]
    assert [(line["partition"], line["offset"]) for line in lines] == [(1, 6), (0, 40)]
    assert (epoch.reasons, epoch.rejected) == ({"not_json": 1, "empty": 1}, 2)


def test_a_reject_line_keeps_the_beginning_and_the_digest_of_all() -> None:
    data = bytes(range(256)) * 20
    line = reject_line(2, 7, data, Rejection(0, "too_long", "d" * 9999))
    assert line.endswith(b"}\n")
    found = json.loads(line)
    assert found.pop("path") == ""
    assert base64.b64decode(found.pop("bytes")) == data[:4096]
    assert found == {
        "detail": "d" * DETAIL_CHARS_MAX,
        "length": 5120,
        "offset": 7,
        "partition": 2,
        "reason": "too_long",
        "sha256": hashlib.sha256(data).hexdigest(),
    }
    assert json.loads(reject_line(0, 0, None, Rejection(0, "empty", "")))["length"] == 0


def floats(*values: float) -> np.ndarray[tuple[int], np.dtype[np.float32]]:
    return np.array(values, np.float32)


def test_prequential_sums_are_weighted() -> None:
    sums = prequential_sums(floats(0.25, 0.75), floats(0, 1), floats(1, 3))
    assert (sums.events, sums.labels, sums.predictions, sums.weight) == (2, 3.0, 2.5, 4.0)
    assert sums.log_loss == pytest.approx(-4 * np.log(0.75))


def test_a_certain_prediction_that_is_wrong_costs_a_finite_loss() -> None:
    sums = prequential_sums(floats(0, 1), floats(1, 0), floats(1, 1))
    assert sums.log_loss == pytest.approx(-2 * np.log(1e-7), rel=1e-6)
    assert is_finite(sums)


def test_a_prediction_that_is_not_finite_shows() -> None:
    assert not is_finite(prequential_sums(floats(np.nan), floats(1), floats(1)))


def test_sums_of_no_parts_are_zero() -> None:
    assert (add_sums([]).events, add_sums([]).log_loss) == (0, 0.0)
    one = prequential_sums(floats(0.5), floats(1), floats(2))
    assert add_sums([one, one]).weight == 4.0
