"""`strandline compact`: full copies of the parameters, so that opening a model stays fast."""

import signal
import threading
import time
from typing import Annotated

import msgspec
import typer

from strandline.cli.arguments import Json, StoreUrl
from strandline.cli.output import count, err, out, plural, print_json
from strandline.errors import NoStore, StoreUnavailable, WrongUsage
from strandline.store import Store, open_store
from strandline.upkeep.compactor import POLL_S, Collected, Compactor
from strandline.upkeep.retention import KeptHistory

DAY_MS = 86_400_000
AGAIN_S = 60.0  # a store that stays away is told of once a minute

Follow = Annotated[bool, typer.Option("--follow", help="Go on until interrupted.")]
Every = Annotated[int, typer.Option("--every", min=1, help="Versions from base to base.")]
Keep = Annotated[
    int | None,
    typer.Option(
        "--keep-versions",
        metavar="N",
        min=0,
        show_default=False,
        help="Remove the data of versions more than N below head, rejected events included.",
    ),
]
KeepHistory = Annotated[
    int | None,
    typer.Option(
        "--keep-history",
        metavar="N",
        min=0,
        show_default=False,
        help="Drop versions more than N below head; only below those of --keep-versions.",
    ),
]
KeepHistoryDays = Annotated[
    float | None,
    typer.Option(
        "--keep-history-days",
        metavar="DAYS",
        min=0,
        show_default=False,
        help="Drop versions that are older; only below those of --keep-versions.",
    ),
]
Gc = Annotated[
    bool, typer.Option("--gc", help="Remove what no commit can name any more; pack old versions.")
]


def command(
    store: StoreUrl,
    *,
    follow: Follow = False,
    every: Every = 100,
    keep_versions: Keep = None,
    keep_history: KeepHistory = None,
    keep_history_days: KeepHistoryDays = None,
    gc: Gc = False,
    json: Json = False,
) -> None:
    """Write bases: full copies of the parameters at some versions.

    A reader opens the newest base and applies only the deltas after it. Compacting changes no
    version, and several compactors of one store do no harm. With --keep-versions, older versions
    can no longer be opened; what they record stays. With --follow, data goes at each new base.

    What versions record grows for ever: with --keep-history or --keep-history-days the oldest are
    dropped, a thousand at a time, behind a record of what they learned. Then history begins at a
    later version, and every version from there on is checked against it as ever.

    A rejected event is kept as it came, with what users wrote into it. --keep-versions removes it
    with its version: `--keep-versions 0` the rejected events of all versions so far.

    Examples: `strandline compact ./model --follow --keep-versions 1000`,
    `strandline compact ./model --keep-versions 0`,
    `strandline compact ./model --follow --keep-versions 1000 --keep-history-days 90`
    """
    opened = open_store(store)
    collects = gc or keep_versions is not None
    age_ms = None if keep_history_days is None else round(keep_history_days * DAY_MS)
    kept = KeptHistory(keep_history, age_ms)
    if keep_versions is None and not kept.all:
        raise WrongUsage(
            "--keep-history is given and --keep-versions is not; expected both, because history is"
            " dropped only below the versions that stay open"
        )
    compactor = Compactor(opened, every=every, keep_versions=keep_versions, kept_history=kept)
    compactor.run_once()
    compactor.cover()
    report(opened, compactor.collect() if collects else Collected(), json=json)
    if follow:
        stop = threading.Event()
        for number in (signal.SIGINT, signal.SIGTERM):
            signal.signal(number, lambda *_: stop.set())
        follow_on(compactor, stop, collect=collects)
        report(opened, Collected(), json=json)


def follow_on(compactor: Compactor, stop: threading.Event, *, collect: bool) -> None:
    """Follow the store until `stop` is set; wait for one that does not answer, or is away."""
    warned_s = -AGAIN_S
    while not stop.is_set():
        try:
            compactor.follow(stop, collect=collect)
        except (NoStore, StoreUnavailable) as error:
            if time.monotonic() - warned_s >= AGAIN_S:
                warned_s = time.monotonic()
                err().print(
                    f"warning: {error}. The compactor waits for its store, and goes on by itself",
                    soft_wrap=True,
                )
            stop.wait(POLL_S)


def report(store: Store, done: Collected, *, json: bool) -> None:
    """Print which versions have a base, and what was removed."""
    bases = store.bases()
    if json:
        print_json(
            {
                "bases": bases,
                "head": store.head(),
                "history_from": store.history_begins(),
                "collected": msgspec.to_builtins(done),
                "store": store.url,
            }
        )
        return
    newest = f"the newest at version {bases[-1]}" if bases else "none needed yet"
    gone = (
        f"; removed {plural(done.files, 'file')}, {plural(done.bases, 'base')},"
        f" {count(done.leftovers)} left over by dead writers;"
        f" packed {plural(done.packed, 'folder')} of versions, dropped"
        f" {plural(done.dropped, 'old version')}"
        if done != Collected()
        else ""
    )
    begin = store.history_begins()
    history = f"; history begins at version {begin}" if begin else ""
    out().print(
        f"{store.url}: bases: {len(bases)}, {newest}; head is {store.head()}{gone}{history}",
        soft_wrap=True,
    )
