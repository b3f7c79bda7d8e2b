"""Public data sets as decoded events: files that a user has, named by path.

==============  ===========================================================  ==================
data set        file                                                         label
==============  ===========================================================  ==================
`criteo`        `train.txt`: label, 13 numbers, 26 categories, by tabs       click
`movielens`     `u.data` or `ratings.csv`: user, item, rating, time          rating of 4 or more
`open-bandit`   `all.csv` of a campaign, with a header                       click
==============  ===========================================================  ==================
"""

import csv
from collections.abc import Callable, Iterator
from itertools import islice
from pathlib import Path
from typing import Any, Final

import msgspec

from strandline.errors import WrongUsage
from strandline.features import Batch, Decoder
from strandline.spec import Spec

Event = dict[str, Any]

FORMS: Final = {
    "criteo": "label, 13 numbers and 26 categories, by tabs",
    "movielens": "user, item, rating and time, by tabs or commas",
    "open-bandit": "the columns item_id, position, click and user_feature_0 to 3, under a header",
}


def load(name: str, path: Path, events: int) -> Batch:
    """Return the first events of a file, those that cannot be decoded left out.

    Raises
    ------
    OSError
        If there is no such file.
    WrongUsage
        If a line is not of the data set's form.
    """
    columns, read = DATA_SETS[name]
    number, text = 0, ""

    def lines() -> Iterator[str]:
        nonlocal number, text
        for text in file:
            number += 1
            yield text

    with path.open(newline="", encoding="utf-8", errors="replace") as file:
        try:
            encoded = [msgspec.json.encode(event) for event in islice(read(lines()), events)]
        except (
            ValueError,
            KeyError,
            TypeError,
            csv.Error,
        ) as error:  # TypeError: cells are missing
            raise WrongUsage(
                f"{path}, line {number}: {text.strip()!r:.80} is not a line of {name} ({error!r});"
                f" expected {FORMS[name]}; name the file as it was published, unpacked"
            ) from error
    batch, _ = Decoder(spec_of(name, columns)).decode(encoded)
    return batch


def spec_of(name: str, columns: dict[str, str]) -> Spec:
    """Return a spec of these columns, by kind."""
    features = "".join(f'features.{column}.kind = "{kind}"\n' for column, kind in columns.items())
    logs = "".join(
        f'features.{column}.transform = "log1p"\n'
        for column, kind in columns.items()
        if kind == "number"
    )
    return Spec.parse(
        f'name = "{name}"\nlabel.path = "label"\n{features}{logs}learners.ctr.type = "ftrl"\n'
    )


def _criteo(lines: Iterator[str]) -> Iterator[Event]:
    for label, *cells in csv.reader(lines, delimiter="\t", quoting=csv.QUOTE_NONE):
        numbers = {f"n{i}": float(cell) for i, cell in enumerate(cells[:13]) if cell}
        categories = {f"c{i}": cell for i, cell in enumerate(cells[13:39]) if cell}
        yield {"label": int(label), **numbers, **categories}


def _movielens(lines: Iterator[str]) -> Iterator[Event]:
    for line in lines:
        user, item, rating, *_ = line.replace("\t", ",").split(",")
        if user != "userId":  # `ratings.csv` has a header
            yield {"label": float(rating) >= 4.0, "user": user, "item": item}


def _open_bandit(lines: Iterator[str]) -> Iterator[Event]:
    for row in csv.DictReader(lines):
        shown = {"item": row["item_id"], "position": row["position"]}
        users = {f"user_{i}": row[f"user_feature_{i}"] for i in range(4)}
        yield {"label": int(row["click"]), **shown, **users}


def _categories(*names: str) -> dict[str, str]:
    return dict.fromkeys(names, "category")


DATA_SETS: Final[dict[str, tuple[dict[str, str], Callable[[Iterator[str]], Iterator[Event]]]]] = {
    "criteo": (
        dict.fromkeys((f"n{i}" for i in range(13)), "number")
        | _categories(*(f"c{i}" for i in range(26))),
        _criteo,
    ),
    "movielens": (_categories("user", "item"), _movielens),
    "open-bandit": (
        _categories("item", "position", *(f"user_{i}" for i in range(4))),
        _open_bandit,
    ),
}
