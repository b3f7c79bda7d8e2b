"""`strandline top`: what happens in a store, while it happens."""

import signal
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from types import FrameType
from typing import Annotated, Any, Final

import msgspec
import typer
from rich.live import Live

from strandline.cli.arguments import Json, StoreUrl
from strandline.cli.figures import figures_of
from strandline.cli.output import err, out, print_json_line
from strandline.cli.terminal import silent_controls
from strandline.cli.top_view import line, picture
from strandline.cli.watching import Seen, Watch
from strandline.errors import NoStore, StoreUnavailable
from strandline.manifest import Manifest
from strandline.metrics.totals import totals_of
from strandline.store import open_store

POLL_S: Final = 0.1
FRAMES_PER_S: Final = 4
LINE_EVERY_S: Final = 1.0

History = Annotated[
    int, typer.Option("--history", min=1, help="Versions before head that the sums begin with.")
]


def command(store: StoreUrl, history: History = 1000, json: Json = False) -> None:
    """Watch a store: speed, quality, positions and age, until Ctrl-C.

    A picture on a terminal, elsewhere a line a second. With `--json` one line for head, and one
    for every version that comes. It only reads; any number may watch.

    Calibration is the sum of predicted probabilities per positive that came: 1.0 is right. RMSE,
    the root mean squared error of predicted numbers, is in the label's unit.

    Freshness is the time from an event being written to its version being seen here, by the clocks
    of the broker and this machine; of each version its newest event counts.

    Example: `strandline top ./model`
    """
    with stopping() as stop:
        watch = Watch.begin(open_store(store), 1 if json else history)
        if json:
            print_json_line(document(watch.newest, None))
            for versions in follow(watch, stop, Troubles()):
                for seen in versions:
                    print_json_line(document(seen.manifest, seen.freshness_ms))
        elif sys.stdout.isatty():
            show(watch, stop)
        else:
            print_lines(watch, stop)


class Stop:
    """Ctrl-C or SIGTERM: once ends after what is being written, twice at once."""

    def __init__(self) -> None:
        self.asked = False

    def ask(self, _number: int, _frame: FrameType | None) -> None:
        if self.asked:
            raise KeyboardInterrupt
        self.asked = True


@contextmanager
def stopping() -> Iterator[Stop]:
    """Take the signals, and give them back."""
    stop = Stop()
    numbers = (signal.SIGINT, signal.SIGTERM)
    before = [(number, signal.signal(number, stop.ask)) for number in numbers]
    try:
        yield stop
    finally:
        for number, handler in before:
            signal.signal(number, handler)


class Troubles:
    """A store that does not answer: a mount may come back, so it is waited for."""

    def __init__(self, *, quiet: bool = False) -> None:
        self.text = ""
        self._quiet = quiet

    def say(self, error: Exception | None) -> None:
        """Take note of the last look's outcome; say once that the store is away."""
        if error is not None and not self.text and not self._quiet:
            err().print(f"warning: waiting for the store: {error}")
        self.text = "" if error is None else f"waiting for the store: {error}"


def follow(watch: Watch, stop: Stop, troubles: Troubles) -> Iterator[list[Seen]]:
    """Yield what each look finds, until the stop."""
    while not stop.asked:
        found: list[Seen] = []
        try:
            found = watch.look()
        except (NoStore, StoreUnavailable) as error:
            troubles.say(error)
        else:
            troubles.say(None)
        yield found
        if not stop.asked:
            time.sleep(POLL_S)


def show(watch: Watch, stop: Stop) -> None:
    """Draw the picture anew; the last one stays."""
    troubles = Troubles(quiet=True)
    begun = picture(watch)
    with silent_controls(), Live(begun, console=out(), refresh_per_second=FRAMES_PER_S) as live:
        for _ in follow(watch, stop, troubles):
            live.update(picture(watch, troubles.text))


def print_lines(watch: Watch, stop: Stop) -> None:
    """Print a line now and every second."""
    next_s = time.monotonic()
    for _ in follow(watch, stop, Troubles()):
        if time.monotonic() >= next_s:
            print(line(watch), flush=True)
            next_s += LINE_EVERY_S


def document(manifest: Manifest, freshness_ms: int | None) -> dict[str, Any]:
    """A version for programs: the figures of `strandline log`, and what `top` adds."""
    entry = manifest.streams.get(manifest.stream or "")
    totals = totals_of(manifest.body)
    figures: dict[str, Any] = msgspec.to_builtins(figures_of(manifest))
    return figures | {
        "bytes": totals.bytes,
        "files": totals.files,
        "freshness_ms": freshness_ms,
        "positions": {} if entry is None else entry.positions,
    }
