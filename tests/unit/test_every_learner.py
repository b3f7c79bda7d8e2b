"""All types of learners in one model: two workers, commits that lag, and the fold from genesis."""

import json

import pytest

from strandline.errors import StoreExists
from strandline.learners.loading import make_learners
from strandline.parameters.base import parameters_at
from strandline.reading.model import open_model
from strandline.spec import Spec
from strandline.store import create_store
from tests.jobs import Job
from tests.streams import CLICKS, clicks

LEARNERS = """
[learners.linear]
type = "sklearn"
bits = 8
batch_events = 100
estimator = {name = "SGDClassifier", learning_rate = "constant", eta0 = 0.05}
[learners.bayes]
type = "sklearn"
bits = 12
estimator = {name = "MultinomialNB"}
features = ["item"]
[learners.trend]
type = "counts"
feature = "item"
half_life_s = 1e9
"""
SPEC = Spec.parse(CLICKS.replace("bits = 18", "bits = 8") + LEARNERS)


def test_every_learner_goes_on_while_commits_lag() -> None:
    store = create_store("memory:", SPEC)
    job = Job(store, workers=2)
    events: list[bytes] = []
    for epoch in range(6):
        parts = {0: clicks(330, 2 * epoch), 1: clicks(170, 2 * epoch + 1)}
        events += parts[0] + parts[1]
        job.epoch(parts)
        job.commit(keep=2)
    job.commit()
    model = open_model(store)
    positives = sum(json.loads(event)["click"] for event in events)
    bayes = model.estimator("bayes")
    assert bayes.class_count_.tolist() == [3000 - positives, positives]
    assert bayes.feature_count_.sum() == 3000
    assert model.estimator("linear").t_ == 3001
    assert model.count("i0", "trend") == pytest.approx(model.count("i0", "popularity"), rel=1e-6)
    later = [json.loads(event) for event in clicks(500, 99)]
    share = sum(event["click"] for event in later) / len(later)
    for learner in ("linear", "bayes", "ctr"):
        scores = model.predict(later, learner).scores
        clicked = [s for s, event in zip(scores, later, strict=True) if event["click"]]
        assert scores.mean() == pytest.approx(share, abs=0.1)
        assert sum(clicked) / len(clicked) > scores.mean() + 0.02
    replica = job.merger._replica
    assert replica is not None
    replica.catch_up(job.merger._contained, job.merger._verbatim)
    folded = parameters_at(store, make_learners(SPEC), store.head())
    for name, table in folded.items():
        for found, expected in zip(replica.local[name].items(), table.items(), strict=True):
            assert found.tobytes() == expected.tobytes()


@pytest.mark.parametrize(
    ("was", "becomes", "says"),
    [
        ("bits = 12", "bits = 13", "learners.bayes.bits is 12 there and 13 here. A store's"),
        ("half_life_s = 1e9", "", r"trend.half_life_s is 1000000000.0 there and None here\."),
        ("MultinomialNB", "BernoulliNB", "estimator.name is 'MultinomialNB' there and 'Bern"),
        (
            "learners.trend",
            "learners.fresh",
            "fresh.feature is absent there and 'item' here; .*; 5 m",
        ),
    ],
)
def test_a_spec_that_changes_a_table_says_where(
    was: str, becomes: str, says: str, tmp_path_factory: pytest.TempPathFactory
) -> None:
    url = str(tmp_path_factory.mktemp("one") / "store")
    create_store(url, SPEC)
    changed = (CLICKS.replace("bits = 18", "bits = 8") + LEARNERS).replace(was, becomes)
    with pytest.raises(StoreExists, match=says):
        create_store(url, Spec.parse(changed))
