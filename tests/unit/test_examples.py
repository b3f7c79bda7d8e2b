"""The examples run with one command and show what they say."""

import re
import subprocess
import sys
from pathlib import Path

import pytest

from strandline.features import Decoder
from strandline.spec import Spec
from strandline.store import open_store

EXAMPLES = Path(__file__).parents[2] / "examples"


def run(name: str, *options: str) -> str:
    command = [sys.executable, "-W", "error", str(EXAMPLES / name / f"{name}.py"), *options]
    done = subprocess.run(command, check=True, capture_output=True, text=True, timeout=100)
    return done.stdout


def test_sensors_learns_a_regression(tmp_path: Path) -> None:
    store = tmp_path / "store"
    shown = run("sensors", "--events", "10000", "--store", str(store))
    first, last = map(float, re.findall(r"(\d\.\d\d) in the", shown))
    assert first > 1.5
    assert last < 0.7
    litres = [float(found) for found in re.findall(r"%: (\d+\.\d) litres", shown)]
    assert litres == sorted(litres)
    assert len(litres) == 3
    assert "SGDRegressor(" in shown
    assert open_store(str(store)).head() == 3


def test_trending_finds_the_comet_while_it_is_seen(tmp_path: Path) -> None:
    shown = run("trending", "--views", "60", "--store", str(tmp_path / "store"))
    tops = re.findall(r"(popular|trending) +(\S+)", shown)
    assert [item for learner, item in tops if learner == "popular"] == ["item-000"] * 3
    assert [item for learner, item in tops if learner == "trending"] == [
        "item-000",
        "comet",
        "item-000",
    ]


def test_clickthrough_finds_what_everybody_likes(tmp_path: Path) -> None:
    shown = run("clickthrough", "--events", "40000", "--store", str(tmp_path / "store"))
    first, last = map(float, re.findall(r"(\d\.\d+) in the", shown))
    assert last < 0.98 * first
    topics = ["cars", "food", "music", "travel"]
    for number, topic in enumerate(topics):
        (listed,) = re.findall(rf"like {topic} +show (.+)", shown)
        found = re.findall(r"ad-(\d+) (\d+\.\d)% \(truth (\d+\.\d)%\)", listed)
        assert all(int(ad) % len(topics) == number for ad, _, _ in found)
        assert all(abs(float(score) - float(truth)) < 8 for _, score, truth in found)
    assert len(found) == 3
    assert open_store(str(tmp_path / "store")).head() == 9


@pytest.mark.parametrize("name", ["clickthrough", "sensors", "trending"])
def test_events_alone_are_as_the_spec_says(name: str) -> None:
    few = ("--views", "1") if name == "trending" else ("--events", "50")
    lines = run(name, "--events-only", *few).encode().splitlines()
    batch, rejected = Decoder(Spec.load(EXAMPLES / name / f"{name}.toml")).decode(lines)
    assert (batch.rows, rejected) == (len(lines), [])
    assert len(lines) >= 50


@pytest.mark.parametrize("name", ["clickthrough", "sensors", "trending"])
def test_whoever_reads_only_the_first_events_hears_no_complaint(name: str) -> None:
    """Far more events than a pipe holds; as in `| head -1`."""
    many = ("--views", "100000") if name == "trending" else ("--events", "1000000")
    command = [sys.executable, str(EXAMPLES / name / f"{name}.py"), "--events-only", *many]
    with subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.PIPE) as process:
        assert process.stdout is not None
        assert process.stderr is not None
        assert process.stdout.readline().startswith(b"{")
        process.stdout.close()
        assert process.stderr.read() == b""
