"""`strandline log`: the versions of a store, newest first."""

from collections.abc import Iterable, Sequence
from itertools import islice
from typing import Annotated

import msgspec
import typer
from rich.table import Table

from strandline.cli.arguments import Json, StoreUrl
from strandline.cli.figures import Figures, figures_of
from strandline.cli.output import MISSING, age, count, out, print_json, ratio
from strandline.clock import wall_clock_ms
from strandline.store import open_store
from strandline.store.chain import log as manifests

Limit = Annotated[
    int, typer.Option("--limit", "-n", min=0, help="How many, newest first; 0 means all.")
]


def command(store: StoreUrl, limit: Limit = 20, json: Json = False) -> None:
    """List the versions of a store, newest first.

    Log-loss and calibration are over predictions made before each event was learned;
    calibration is predicted over seen positives. Every version's link to its parent is verified.

    Example: `strandline log ./model --limit 5`
    """
    opened = open_store(store)
    listed = [figures_of(manifest) for manifest in islice(manifests(opened), limit or None)]
    head = listed[0].version
    if json:
        print_json({"head": head, "store": opened.url, "versions": msgspec.to_builtins(listed)})
        return
    console = out()
    console.print(table(listed, wall_clock_ms()))
    older = listed[-1].version
    if older > 0:
        console.print(f"{count(older)} older: --limit 0 lists all", style="dim")


def table(listed: Sequence[Figures], now_ms: int) -> Table:
    """Return one row per version; each learner that predicts has its columns."""
    learners = names(listed)
    titles = [
        f"{title} {name}" if len(learners) > 1 else title
        for name in learners
        for title in ("log-loss", "calibration")
    ]
    view = Table(box=None, header_style="bold", pad_edge=False)
    view.add_column("version", justify="right")
    view.add_column("kind")
    view.add_column("stream")
    for title in ("events", *titles, "rejected", "rows", "age"):
        view.add_column(title, justify="right")
    for each in listed:
        view.add_row(*cells(each, learners, now_ms), style=None if each.events else "dim")
    return view


def names(listed: Iterable[Figures]) -> list[str]:
    """Return the learners that predict, sorted."""
    return sorted({name for each in listed for name in each.log_loss})


def cells(each: Figures, learners: Sequence[str], now_ms: int) -> list[str]:
    """Return the texts of one row."""
    trained = each.kind == "train"
    quality = [
        text
        for name in learners
        for text in (ratio(each.log_loss.get(name)), ratio(each.calibration.get(name), 3))
    ]
    return [
        str(each.version),
        each.kind,
        each.stream or MISSING,
        count(each.events) if trained else MISSING,
        *quality,
        count(each.rejected) if trained else MISSING,
        count(each.rows) if trained else MISSING,
        age(each.time_ms, now_ms),
    ]
