"""Learners of other packages: from the entry point to versions, and what is refused."""

import importlib
from pathlib import Path

import numpy as np
import pytest

from strandline.errors import SecondStream, SpecError
from strandline.features import category_key, field_seed
from strandline.learners.loading import make_learners
from strandline.reading.model import open_model
from strandline.reading.reader import Follower
from strandline.spec import Spec
from strandline.store import create_store
from strandline.transactions.local import learn
from strandline.transactions.transaction import open_stream
from tests.plugins import install, install_example

BASE = """
name = "levels"
label.path = "level"
features.tank.kind = "category"
"""


def events(*readings: tuple[str, float]) -> list[bytes]:
    return [b'{"tank": "%s", "level": %f}' % (tank.encode(), level) for tank, level in readings]


@pytest.fixture
def peak(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> Spec:
    install(monkeypatch, tmp_path, "peaks", {"peak": "tests.peak_learner:PeakSpec"})
    return Spec.parse(BASE + 'learners.peak = {type = "peak", feature = "tank"}')


def test_the_example_learns_and_predicts(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    install_example(monkeypatch, tmp_path)
    spec = Spec.parse(BASE + 'learners.level = {type = "ema", feature = "tank", share = 0.5}')
    assert b'{"feature":"tank","share":0.5,"type":"ema"}' in spec.to_json()
    assert Spec.from_json(spec.to_json()) == spec
    store = create_store("memory:", spec)
    learn(store, events(("a", 4), ("a", 8), ("b", 1), ("a", 2)), "events", {}, epoch_events=2)
    scores = open_model(store).predict([{"tank": "a"}, {"tank": "b"}, {"tank": "c"}]).scores
    assert scores.tolist() == [4, 1, 0]
    with pytest.raises(SecondStream, match=r"level\.averages"):
        open_stream(store, "other")
    with pytest.raises(SpecError, match=r"learners\.level\.feature: .*did you mean 'tank'"):
        Spec.parse(BASE + 'learners.level = {type = "ema", feature = "tnak"}')
    with pytest.raises(SpecError, match=r"learners\.level\.share: expected `float` <= 1"):
        Spec.parse(BASE + 'learners.level = {type = "ema", feature = "tank", share = 2}')


def test_two_streams_into_one_table_with_max(peak: Spec) -> None:
    store = create_store("memory:", peak)
    follower = Follower(store)
    north, south = open_stream(store, "north"), open_stream(store, "south")
    for stream, reading in ((north, 3), (south, 7), (north, 5), (south, 2)):
        transaction = stream.begin()
        transaction.learn(events(("a", reading), (stream.name, reading)))
        transaction.commit()
    assert follower.step()
    for model in (open_model(store), follower.model):
        table = model._parameters["peak.labels"]
        found = {
            tank: table.gather(np.array([_key(tank)], np.uint64))[0, 0]
            for tank in ("a", "north", "south")
        }
        assert found == {"a": 7, "north": 5, "south": 7}


def _key(tank: str) -> int:
    return int(category_key(tank, field_seed("tank")))


def test_a_type_that_is_not_installed_is_named(peak: Spec, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.undo()
    with pytest.raises(
        SpecError, match=r"type: expected one of: counts, ftrl, sklearn, got 'peak'"
    ):
        Spec.from_json(peak.to_json())


@pytest.mark.parametrize(
    ("target", "says"),
    [
        ("tests.no_such_module:Spec", "package bad 1.0 cannot be loaded: ModuleNotFoundError"),
        ("tests.peak_learner:Nothing", "package bad 1.0 cannot be loaded: AttributeError"),
        ("tests.peak_learner:Peak", "expected a subclass of PluginSpec with tag 'bad', got"),
        ("tests.peak_learner:PeakSpec", "expected a subclass of PluginSpec with tag 'bad', got"),
    ],
)
def test_a_package_that_does_not_fit_is_named(
    target: str, says: str, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    install(monkeypatch, tmp_path, "bad", {"bad": target})
    with pytest.raises(SpecError, match=r"learners\.m\.type: .*" + says):
        Spec.parse(BASE + 'learners.m = {type = "bad", feature = "tank"}')


def test_a_type_that_two_packages_bring_is_refused(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    for package in ("one", "two"):
        target = {"peak": "tests.peak_learner:PeakSpec"}
        install(monkeypatch, tmp_path / package, package, target)
    with pytest.raises(SpecError, match=r"got \['one 1.0', 'two 1.0'\]: uninstall all but one"):
        Spec.parse(BASE + 'learners.m = {type = "peak", feature = "tank"}')


def test_a_table_whose_rule_does_not_fit_is_refused(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    install(monkeypatch, tmp_path, "wrong", {"wrong": "tests.peak_learner:WrongSpec"})
    spec = Spec.parse(BASE + 'learners.m = {type = "wrong", feature = "tank"}')
    with pytest.raises(SpecError, match=r"m\.labels has operation 'max' and rule 'sum'.*\['max'\]"):
        make_learners(spec)


def test_no_package_takes_the_place_of_a_type_of_ours(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    install(monkeypatch, tmp_path, "evil", {"counts": "tests.no_such_module:Spec"})
    Spec.parse(BASE + 'learners.m = {type = "counts", feature = "tank"}')


def test_the_metadata_of_a_test_is_gone_after_it() -> None:
    importlib.invalidate_caches()
    with pytest.raises(SpecError, match="got 'peak'"):
        Spec.parse(BASE + 'learners.peak = {type = "peak", feature = "tank"}')
