"""The loaders of public data sets, on files of a few lines in the form that each is sent in."""

from pathlib import Path
from typing import Any

import numpy as np
import pytest

from bench.event_files import DATA_SETS, FORMS, load, spec_of
from strandline.errors import WrongUsage
from strandline.features import BIAS_FIELD, Batch
from strandline.features.hashing import category_key, field_seed

CRITEO = (
    "1\t1\t\t-2" + "\t" * 9 + "\t0" + "\t68fd1e64\t80e26c9b" + "\t" * 23 + "\t\n"
    "0" + "\t" * 39 + "\n"
    "0\t7" + "\t5" * 12 + '\t"05\t' + "\t".join("abcdef" for _ in range(25)) + "\n"
)
U_DATA = "196\t242\t3\t881250949\n22\t377\t4\t878887116\n"
RATINGS = "userId,movieId,rating,timestamp\r\n1,31,2.5,1260759144\r\n1,1029,4.0,1260759179\r\n"
BANDIT = (
    ",timestamp,item_id,position,click,propensity_score,user_feature_0,user_feature_1,"
    "user_feature_2,user_feature_3,user-item_affinity_0\n"
    "0,2019-11-24 00:00:00.004101+00:00,79,2,0,0.0125,81ce,03a5,719d,c394,0.0\n"
    "1,2019-11-24 00:00:00.034+00:00,14,1,1,0.0125,81ce,03a5,719d,c394,0.0\n"
)


def loaded(name: str, text: str, folder: Path, events: int = 100) -> Batch:
    file = folder / "events"
    file.write_text(text, newline="")
    return load(name, file, events)


def entries(batch: Batch, name: str, row: int) -> dict[str, tuple[int, float]]:
    """Key and value by feature, the bias left out."""
    names = [*spec_of(name, DATA_SETS[name][0]).features]
    here = slice(batch.starts[row], batch.starts[row + 1] - 1)
    assert batch.fields[here.stop] == BIAS_FIELD
    found = zip(batch.fields[here], batch.keys[here], batch.values[here], strict=True)
    return {names[field]: (int(key), float(value)) for field, key, value in found}


def category(field: str, text: str) -> tuple[int, float]:
    return category_key(text, field_seed(field)), 1.0


def number(field: str, value: float) -> tuple[int, Any]:
    odd_log = np.copysign(np.log1p(abs(value)), value)
    return field_seed(field), pytest.approx(odd_log, abs=1e-6)


def test_criteo_has_13_numbers_and_26_categories_some_empty(tmp_path: Path) -> None:
    batch = loaded("criteo", CRITEO, tmp_path)
    assert batch.labels.tolist() == [1, 0, 0]
    assert entries(batch, "criteo", 0) == {
        "n0": number("n0", 1), "n2": number("n2", -2), "n12": number("n12", 0),
        "c0": category("c0", "68fd1e64"), "c1": category("c1", "80e26c9b"),
    }  # fmt: skip
    assert entries(batch, "criteo", 1) == {}
    full = entries(batch, "criteo", 2)
    assert len(full) == 39
    assert full["c0"] == category("c0", '"05'), "a quote is a character as any other"
    assert full["c25"] == category("c25", "abcdef")


@pytest.mark.parametrize(
    ("text", "user", "item"), [(U_DATA, "22", "377"), (RATINGS, "1", "1029")], ids=["100k", "csv"]
)
def test_movielens_is_read_in_both_its_forms(
    text: str, user: str, item: str, tmp_path: Path
) -> None:
    batch = loaded("movielens", text, tmp_path)
    assert batch.labels.tolist() == [0, 1]
    assert entries(batch, "movielens", 1) == {
        "user": category("user", user), "item": category("item", item)
    }  # fmt: skip


def test_open_bandit_is_read_by_its_header(tmp_path: Path) -> None:
    batch = loaded("open-bandit", BANDIT, tmp_path)
    assert batch.labels.tolist() == [0, 1]
    assert entries(batch, "open-bandit", 0) == {
        "item": category("item", "79"), "position": category("position", "2"),
        **{f"user_{i}": category(f"user_{i}", text)
           for i, text in enumerate(("81ce", "03a5", "719d", "c394"))},
    }  # fmt: skip


@pytest.mark.parametrize(
    ("name", "text"), [("criteo", CRITEO), ("movielens", U_DATA), ("open-bandit", BANDIT)]
)
def test_no_more_events_are_read_than_asked_for(name: str, text: str, tmp_path: Path) -> None:
    assert loaded(name, text, tmp_path, events=1).rows == 1
    assert loaded(name, "", tmp_path).rows == 0


def test_a_file_that_is_not_there_is_an_os_error(tmp_path: Path) -> None:
    with pytest.raises(FileNotFoundError):
        load("criteo", tmp_path / "train.txt", 1)


@pytest.mark.parametrize(
    ("name", "text", "line", "got"),
    [
        ("criteo", CRITEO + "yes" + "\t" * 39 + "\n", 4, "yes"),
        ("criteo", "1\tmany" + "\t" * 38, 1, "many"),
        ("criteo", "\n", 1, "''"),
        ("movielens", U_DATA + "196\t242\n", 3, "196"),
        ("movielens", "196::242::3::881250949\n", 1, "196::242"),  # of another release
        ("movielens", U_DATA + "a,b,c,d\n", 3, "a,b,c,d"),
        ("open-bandit", BANDIT + "2,2019-11-24\n", 4, "2,2019-11-24"),
        ("open-bandit", U_DATA, 2, "878887116"),
    ],
)
def test_a_line_of_another_form_says_which_and_what_was_expected(
    name: str, text: str, line: int, got: str, tmp_path: Path
) -> None:
    with pytest.raises(WrongUsage) as caught:
        loaded(name, text, tmp_path)
    assert str(caught.value).startswith(f"{tmp_path / 'events'}, line {line}: ")
    for words in (got, f"is not a line of {name} (", f"; expected {FORMS[name]}; name the file"):
        assert words in str(caught.value)
