"""The demo's picture on a terminal, and its plain lines elsewhere."""

import time
from collections import Counter
from types import TracebackType
from typing import Final, Protocol, Self

from rich.console import Group, RenderableType
from rich.live import Live
from rich.panel import Panel
from rich.spinner import Spinner
from rich.table import Table
from rich.text import Text

from strandline.cli.figures import calibration
from strandline.cli.figures import log_loss as mean_log_loss
from strandline.cli.output import MISSING, count, err, out, printable, ratio
from strandline.cli.terminal import silent_controls
from strandline_flink.demo.sample import Prediction
from strandline_flink.demo.summary import constant_log_loss
from strandline_flink.demo.watch import RECENT_S, Watch, percentile

FRAMES_PER_S: Final = 8
LINE_EVERY_S: Final = 2.0
REASONS_SHOWN: Final = 2
BARS: Final = "▁▂▃▄▅▆▇█"


class View(Protocol):
    """Where the demo shows what happens."""

    def __enter__(self) -> Self: ...

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None: ...

    def status(self, text: str) -> None:
        """Say what the demo is doing."""
        ...

    def update(self, watch: Watch, behind: int, prediction: Prediction | None) -> None:
        """Show the newest numbers; `behind` events are in the topic and in no version."""
        ...


class LiveView:
    """A picture that is drawn anew several times a second, and is gone at the end."""

    def __init__(self, where: str) -> None:
        self._where = where
        self._begin_s = time.monotonic()
        self._spinner = Spinner("dots", Text("starting"))
        self._body: RenderableType | None = None
        self._echo = silent_controls()
        self._live = Live(
            console=out(),
            refresh_per_second=FRAMES_PER_S,
            get_renderable=self._picture,
            transient=True,
        )

    def __enter__(self) -> Self:
        self._echo.__enter__()
        self._live.start()
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self._live.stop()
        self._echo.__exit__(kind, error, trace)

    def status(self, text: str) -> None:
        self._spinner.update(text=Text(text))

    def update(self, watch: Watch, behind: int, prediction: Prediction | None) -> None:
        if watch.total.versions:
            self._body = numbers(watch, behind, prediction)

    def _picture(self) -> RenderableType:
        passed_s = int(time.monotonic() - self._begin_s)
        parts = [self._spinner] if self._body is None else [self._body, Text(), self._spinner]
        return Panel(
            Group(*parts),
            title="[bold]Strandline[/bold] · every version is an exact prefix of the stream",
            title_align="left",
            subtitle=f"{passed_s // 60}:{passed_s % 60:02d} · {self._where} · Ctrl-C ends it",
            subtitle_align="left",
            padding=(1, 2),
        )


class PlainView:
    """Lines on standard error, for logs and pipes."""

    def __init__(self) -> None:
        self._begin_s = time.monotonic()
        self._said = ""
        self._said_s = 0.0
        self._console = err()

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        pass

    def status(self, text: str) -> None:
        topic = text.partition(":")[0]  # what follows a colon is how far it has come
        if topic != self._said:
            self._said = topic
            self._say(topic)

    def update(self, watch: Watch, behind: int, prediction: Prediction | None) -> None:
        if watch.total.versions and time.monotonic() > self._said_s + LINE_EVERY_S:
            self._said_s = time.monotonic()
            self._say(plain_line(watch, behind, prediction))

    def _say(self, text: str) -> None:
        self._console.print(f"{time.monotonic() - self._begin_s:6.1f} s  {text}")


def plain_line(watch: Watch, behind: int, prediction: Prediction | None) -> str:
    """The numbers in one line."""
    parts = [
        f"version {watch.version}",
        f"{count(watch.total.events)} events",
        f"{count(round(watch.events_per_s))}/s",
        f"{count(behind)} behind",
        f"log-loss {ratio(mean_log_loss(watch.recent_sums))}",
        f"calibration {ratio(calibration(watch.recent_sums), 3)}",
        f"freshness p50 {milliseconds(watch.freshness_ms, 0.5)},"
        f" p95 {milliseconds(watch.freshness_ms, 0.95)}",
        f"{count(watch.total.rejected)} rejected",
    ]
    if prediction is not None:
        parts.append(
            f"prediction {prediction.score:.1%} (true {prediction.truth:.1%})"
            f" by version {prediction.version}"
        )
    return " · ".join(parts)


def numbers(watch: Watch, behind: int, prediction: Prediction | None) -> RenderableType:
    """The numbers as a table (name, last seconds, in all, remark), and the live prediction."""
    view = Table(box=None, pad_edge=False, padding=(0, 2, 0, 0), header_style="dim")
    view.add_column("", style="cyan", no_wrap=True, min_width=11)
    view.add_column(f"last {RECENT_S:.0f} s", justify="right", no_wrap=True, min_width=8)
    view.add_column("in all", justify="right", no_wrap=True, min_width=8)
    view.add_column("", style="dim", no_wrap=True, overflow="ellipsis")
    recent, sums = watch.recent_sums, watch.sums
    constant = constant_log_loss(sums)
    rows: list[tuple[str, str, str, str]] = [
        ("version", "", count(watch.version), f"{count(behind)} events wait for the next one"),
        (
            "events",
            f"{count(round(watch.events_per_s))}/s",
            count(watch.total.events),
            "read and learned",
        ),
        (
            "log-loss",
            ratio(mean_log_loss(recent)),
            ratio(mean_log_loss(sums)),
            f"{ratio(constant)} by guessing the mean  {sparkline(list(watch.losses))}",
        ),
        (
            "calibration",
            ratio(calibration(recent), 3),
            ratio(calibration(sums), 3),
            "clicks predicted per click",
        ),
        (
            "freshness",
            milliseconds(watch.recent_freshness_ms, 0.5),
            milliseconds(watch.freshness_ms, 0.5),
            f"event written → in a version; p95 {milliseconds(watch.freshness_ms, 0.95)}",
        ),
        ("rejected", "", count(watch.total.rejected), reasons(watch)),
    ]
    for row in rows:
        view.add_row(*row)
    return Group(view, Text(), prediction_line(prediction))


def prediction_line(prediction: Prediction | None) -> Text:
    """The live prediction, with the version that made it."""
    if prediction is None:
        return Text("no version predicts yet", style="dim")
    return Text.assemble(
        f"{prediction.user} clicks on {prediction.item}: ",
        (f"{prediction.score:.1%}", "bold"),
        f" says version {prediction.version}",
        (f"  (in truth {prediction.truth:.1%})", "dim"),
    )


def milliseconds(values: list[int], share: float) -> str:
    """A percentile of the freshness, with its unit."""
    value = percentile(values, share)
    return MISSING if value is None else f"{count(value)} ms"


def reasons(watch: Watch) -> str:
    """The most frequent reasons of rejection."""
    counted = Counter(watch.total.reasons)
    shown = counted.most_common(REASONS_SHOWN)
    more = len(counted) - len(shown)
    parts = [f"{printable(reason)} {count(number)}" for reason, number in shown]
    return " · ".join([*parts, f"{more} more"] if more > 0 else parts)


def sparkline(values: list[float], width: int = 16) -> str:
    """The last values as bars, the lowest value the lowest bar.

    >>> sparkline([3, 2, 1])
    '█▅▁'
    """
    shown = values[-width:]
    if len(shown) < 2:
        return ""
    low, span = min(shown), max(shown) - min(shown)
    top = len(BARS) - 1
    return "".join(BARS[round((value - low) / span * top) if span else 0] for value in shown)
