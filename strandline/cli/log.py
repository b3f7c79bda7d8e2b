"""`strandline log`: the versions of a store, newest first."""

from collections.abc import Iterable, Mapping, Sequence
from itertools import islice
from typing import Annotated, Final

import msgspec
import typer
from rich.table import Table

from strandline.cli.arguments import Json, StoreUrl
from strandline.cli.figures import Figures, Measure, figures_of, measures
from strandline.cli.output import MISSING, age, count, out, plural, print_json, ratio
from strandline.clock import wall_clock_ms
from strandline.manifest import Manifest, Prequential, TrainBody
from strandline.metrics.totals import Totals
from strandline.store import open_store
from strandline.store.chain import log as manifests
from strandline.upkeep.retention import dropped_totals

Limit = Annotated[
    int, typer.Option("--limit", "-n", min=0, help="How many, newest first; 0 means all.")
]


LEGEND: Final = (
    "calibration: predicted per seen positive, 1.0 is right · RMSE: root mean squared error, in the"
    " label's unit · rows: of tables, changed by the version"
)


def command(store: StoreUrl, limit: Limit = 20, json: Json = False) -> None:
    """List the versions of a store, newest first. Every version's link to its parent is verified.

    - **kind**: `genesis` is the empty model, `open` says where a run begins, `train` is a commit
    - **log-loss**: of probabilities, predicted before each event was learned, in nats; smaller is
      better, and 0.6931 is a coin's
    - **calibration**: the sum of predicted probabilities per positive that came: 1.0 is right, 2.0
      promises twice as many as come
    - **RMSE**: root mean squared error of predicted numbers or classes, in the label's unit
    - **rejected**: events that could not be decoded; `strandline show --rejects` lists them
    - **rejected**, **refused**: events that were not learned. Rejected ones are kept with their
      reasons (`show --rejects`); refused is all that a worker read between two versions, if even
      without the events that cause it a parameter would not be a finite number
    - **rows**: rows of the model's tables that the version changed, such as one per user

    Example: `strandline log ./model --limit 5`
    """
    opened = open_store(store)
    found = list(islice(manifests(opened), limit or None))
    listed = [figures_of(manifest) for manifest in found]
    head = listed[0].version
    if json:
        print_json(
            {
                "head": head,
                "history_from": opened.history_begins(),
                "dropped": msgspec.to_builtins(dropped_totals(opened)),
                "store": opened.url,
                "versions": msgspec.to_builtins(listed),
            }
        )
        return
    console = out()
    console.print(table(found, wall_clock_ms()))
    begin = opened.history_begins()
    older = listed[-1].version - begin
    if older > 0:
        console.print(f"{plural(older, 'version')} older: --limit 0 lists all", style="dim")
    if begin:
        console.print(history_line(begin, dropped_totals(opened)), style="dim")
    if console.is_terminal:
        console.print(LEGEND, style="dim")


def history_line(begin: int, dropped: Mapping[str, Totals]) -> str:
    """Where history begins, and what the versions up to there add up to."""
    streams = ", ".join(
        f"stream {name}: {plural(each.versions, 'commit')}, {plural(each.learned, 'event')} learned"
        for name, each in sorted(dropped.items())
    )
    return f"history begins at version {begin}; up to it {streams}"


def table(listed: Sequence[Manifest], now_ms: int) -> Table:
    """Return one row per version; each learner that predicts has its columns."""
    learners = learners_of(listed)
    titles = [
        f"{measure.name} {name}" if len(learners) > 1 else measure.name
        for name, measured in learners.items()
        for measure in measured
    ]
    refused = ["refused"] if any(figures_of(each).refused for each in listed) else []
    view = Table(box=None, header_style="bold", pad_edge=False)
    view.add_column("version", justify="right")
    view.add_column("kind")
    view.add_column("stream")
    for title in ("events", *titles, "rejected", *refused, "rows", "age"):
        view.add_column(title, justify="right")
    for each in listed:
        figures = figures_of(each)
        style = None if figures.events else "dim"
        view.add_row(*cells(each, figures, learners, now_ms, refused=bool(refused)), style=style)
    return view


def learners_of(listed: Iterable[Manifest]) -> dict[str, tuple[Measure, ...]]:
    """Return the learners that predict, sorted, and what each is measured by."""
    found = {name: sums for each in listed for name, sums in predicted(each).items()}
    return {name: measures(sums) for name, sums in sorted(found.items())}


def predicted(manifest: Manifest) -> Mapping[str, Prequential]:
    """Return the sums over a version's predictions, by learner."""
    return manifest.body.prequential if isinstance(manifest.body, TrainBody) else {}


def cells(
    manifest: Manifest,
    figures: Figures,
    learners: Mapping[str, tuple[Measure, ...]],
    now_ms: int,
    *,
    refused: bool,
) -> list[str]:
    """Return the texts of one row."""
    trained = figures.kind == "train"
    sums = predicted(manifest)
    quality = [
        ratio(measure.of(sums[name]), measure.digits) if name in sums else MISSING
        for name, measured in learners.items()
        for measure in measured
    ]
    return [
        str(figures.version),
        figures.kind,
        figures.stream or MISSING,
        count(figures.events) if trained else MISSING,
        *quality,
        count(figures.rejected) if trained else MISSING,
        *([count(figures.refused) if trained else MISSING] if refused else []),
        count(figures.rows) if trained else MISSING,
        age(figures.time_ms, now_ms),
    ]
