"""The generator: the same bytes for ever, faults as named, and a truth that can be learned."""

import hashlib
import json
from collections import Counter
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from numpy.typing import NDArray

from strandline.features import REASONS, Decoder
from strandline.learners import empty_parameters, make_learners
from strandline.spec import Spec
from strandline_flink.dev.events import CHUNK_EVENTS, MALFORMED, EventStream, clicks_spec

SPEC = Spec.parse(clicks_spec())
STREAM = EventStream(7, malformed_share=0.01)
PIECE = STREAM.events(0, 3 * CHUNK_EVENTS)


def log_loss(labels: NDArray[np.float32], probabilities: NDArray[np.float64]) -> float:
    return float(-np.log(np.where(labels > 0, probabilities, 1 - probabilities)).mean())


def test_the_example_spec_is_the_one_in_the_package() -> None:
    example = Path(__file__).parents[3] / "examples" / "specs" / "clicks.toml"
    assert example.read_text() == clicks_spec()


@given(st.tuples(st.integers(0, len(PIECE)), st.integers(0, len(PIECE))).map(sorted))
def test_an_event_follows_from_seed_and_index_alone(bounds: list[int]) -> None:
    first, end = bounds
    assert STREAM.events(first, end) == PIECE[first:end]
    assert len(STREAM.probabilities(first, end)) == end - first


def test_following_gives_the_same_events() -> None:
    lists = STREAM.follow(100)
    assert next(lists) + next(lists) == PIECE[100 : 2 * CHUNK_EVENTS]


def test_the_bytes_of_a_seed_do_not_change() -> None:
    digest = hashlib.sha256(b"\n".join(EventStream(7).events(0, 5000))).hexdigest()
    assert digest == "bd781597335f07c0fb4ff96d1b0c76b9bf1a133952dc1fc73b7ca0bdf7f0d668"


def test_seeds_differ() -> None:
    assert not set(EventStream(1).events(0, 500)) & set(EventStream(2).events(0, 500))


def test_sound_events_are_json_of_a_few_hundred_bytes() -> None:
    events = EventStream(7, malformed_share=0).events(0, 2000)
    sizes = [len(event) for event in events]
    assert min(sizes) >= 250
    assert max(sizes) <= 350
    assert {json.loads(event)["click"] for event in events} == {0, 1}
    assert Decoder(SPEC).decode(events)[1] == []


@pytest.mark.parametrize("kind", range(len(MALFORMED)))
def test_each_fault_has_the_reason_it_names(kind: int) -> None:
    reason, make = MALFORMED[kind]
    events = EventStream(7, malformed_share=0).events(0, 20)
    _, rejections = Decoder(SPEC).decode([make(event) for event in events])
    assert [rejection.reason for rejection in rejections] == [reason] * 20


def test_faults_cover_all_reasons_that_the_spec_can_give() -> None:
    # It has no weight, and no learner that fails.
    assert {reason for reason, _ in MALFORMED} == set(REASONS) - {"bad_weight", "unlearnable"}


@pytest.mark.parametrize("share", [0.0, 0.01, 1.0])
def test_the_malformed_share_is_kept(share: float) -> None:
    _, rejections = Decoder(SPEC).decode(EventStream(3, malformed_share=share).events(0, 20_000))
    assert len(rejections) == pytest.approx(share * 20_000, rel=0.25)
    if share == 1.0:
        assert set(Counter(r.reason for r in rejections)) == {reason for reason, _ in MALFORMED}


def test_clicks_follow_the_truth_which_has_signal() -> None:
    stream = EventStream(5, malformed_share=0)
    labels = Decoder(SPEC).decode(stream.events(0, 50_000))[0].labels
    truth = stream.probabilities(0, 50_000)
    assert labels.mean() == pytest.approx(0.2, abs=0.01)
    assert truth.mean() == pytest.approx(labels.mean(), abs=0.006)
    constant = log_loss(labels, np.full(len(labels), labels.mean()))
    assert 0.20 < 1 - log_loss(labels, truth) / constant < 0.30


def test_the_truth_drifts_slowly() -> None:
    stream = EventStream(5, malformed_share=0)
    world = stream._world
    shown = world.show(np.random.default_rng(0), 5000)
    now, soon, late = (
        world.probability(shown, np.full(5000, index)) for index in (0, 20_000, 2_000_000)
    )
    assert np.corrcoef(now, soon)[0, 1] > 0.99
    assert np.corrcoef(now, late)[0, 1] < 0.8


def test_ftrl_learns_it_within_a_hundred_thousand_events() -> None:
    learner = make_learners(SPEC)["ctr"]
    learner.bind(empty_parameters({"ctr": learner}))
    decoder, stream = Decoder(SPEC), EventStream(7)
    labels, predictions = [], []
    for first in range(0, 100_000, 5000):
        batch, _ = decoder.decode(stream.events(first, first + 5000))
        predicted = learner.learn(batch)
        assert predicted is not None
        if first >= 20_000:
            labels.append(batch.labels)
            predictions.append(predicted.astype(np.float64))
    seen = np.concatenate(labels)
    constant = log_loss(seen, np.full(len(seen), seen.mean()))
    assert log_loss(seen, np.concatenate(predictions)) < 0.87 * constant
