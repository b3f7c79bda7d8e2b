"""`strandline compact`: full copies of the parameters, so that opening a model stays fast."""

import signal
import threading
from typing import Annotated

import typer

from strandline.cli.arguments import Json, StoreUrl
from strandline.cli.output import out, print_json
from strandline.compactor import Compactor
from strandline.store import Store, open_store

Follow = Annotated[bool, typer.Option("--follow", help="Go on until interrupted.")]
Every = Annotated[int, typer.Option("--every", min=1, help="Versions from base to base.")]


def command(
    store: StoreUrl, follow: Follow = False, every: Every = 100, json: Json = False
) -> None:
    """Write bases: full copies of the parameters at some versions.

    A reader opens the newest base and applies only the deltas after it. Compacting changes no
    version, and several compactors of one store do no harm.

    Example: `strandline compact ./model --follow`
    """

    opened = open_store(store)
    compactor = Compactor(opened, every=every)
    compactor.run_once()
    report(opened, json)
    if follow:
        stop = threading.Event()
        for number in (signal.SIGINT, signal.SIGTERM):
            signal.signal(number, lambda *_: stop.set())
        compactor.follow(stop)
        report(opened, json)


def report(store: Store, json: bool) -> None:
    """Print which versions have a base."""
    bases = store.bases()
    if json:
        print_json({"bases": bases, "head": store.head(), "store": store.url})
    else:
        newest = f"the newest at version {bases[-1]}" if bases else "none needed yet"
        out().print(f"{store.url}: bases: {len(bases)}, {newest}; head is {store.head()}")
