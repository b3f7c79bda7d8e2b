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

from strandline.features import Batch, Decoder
from strandline.spec import Spec

Event = dict[str, Any]


def load(name: str, path: Path, events: int) -> Batch:
    """Return the first events of a file, those that cannot be decoded left out.

    Raises
    ------
    OSError
        If there is no such file.
    """
    columns, read = DATA_SETS[name]
    with path.open(newline="", encoding="utf-8", errors="replace") as lines:
        encoded = [msgspec.json.encode(event) for event in islice(read(lines), events)]
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
        if user.isdigit():  # `ratings.csv` has a header
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
