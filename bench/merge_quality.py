"""What a merge rule costs in served log-loss, against one worker that learns event by event.

`make bench-merge_quality ARGS="--json"`

Workers, merger and versions run in one process by `bench.merge_simulation`: every published version
scores the epoch that comes next, and the second half of a stream counts. A ratio of 1.01 means a
log-loss 1 % above that of one worker which publishes as often. Workers learn on versions that
miss the last epoch, as they do under Flink. `alpha` 0.2 is a rate four times the default.

The streams are drawn from seeds (`bench.learning_streams`); public data sets that you have are
added by path (`bench.event_files`).
"""

from argparse import Namespace
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from itertools import product
from pathlib import Path
from typing import Any, Final

from bench.event_files import DATA_SETS, load
from bench.learning_streams import TUNED_ON, WORLDS, draw
from bench.merge_candidates import CANDIDATES, RULES
from bench.merge_simulation import Rule, Served, Setting, simulate
from bench.output import finish, parser, progress, table
from strandline.errors import WrongUsage
from strandline.features import Batch

EVENTS: Final = 400_000
SEED: Final = 23  # rules were chosen with others
ALPHAS: Final = (0.05, 0.2)
EPOCHS: Final = (2_000, 20_000, 100_000)
QUOTED_EPOCH: Final = 20_000
WORKERS: Final = (2, 8, 32)
DELAY: Final = 2


@dataclass(frozen=True, slots=True)
class Found:
    """How one rule served one stream."""

    stream: str
    rule: str
    setting: Setting
    served: Served
    ratio: float

    def as_json(self) -> dict[str, Any]:
        """Return the figures under their names."""
        return {
            "alpha": self.setting.alpha,
            "calibration": self.served.calibration,
            "epoch_events": self.setting.epoch_events,
            "log_loss": self.served.log_loss,
            "ratio": self.ratio,
            "rule": self.rule,
            "stream": self.stream,
            "workers": self.setting.workers,
        }


def main() -> None:
    """Run the bench."""
    args = arguments()
    found = [one for name, batch in streams(args) for one in compare(name, batch, args)]
    result = {
        "delay_epochs": DELAY,
        "events": args.events,
        "held_out": [name for name in WORLDS if name not in TUNED_ON],
        "seed": args.seed,
        "results": [one.as_json() for one in found],
    }
    finish("merge_quality", result, quoted(found), args)


def arguments() -> Namespace:
    """Read the command line."""
    made = parser(__doc__)
    made.add_argument("--events", type=int, default=EVENTS, help="events per stream")
    made.add_argument("--seed", type=int, default=SEED, help="of the streams that are drawn")
    made.add_argument("--streams", nargs="*", choices=list(WORLDS), default=list(WORLDS))
    for name in DATA_SETS:
        made.add_argument(f"--{name}", type=Path, metavar="FILE", help="a file of this data set")
    args = made.parse_args()
    if args.brief:
        args.events, args.streams = 8_000, ["rare"]
    return args


def streams(args: Namespace) -> Iterator[tuple[str, Batch]]:
    """Yield the streams asked for; a data set without a file of its form is passed over."""
    for name in args.streams:
        yield name, draw(name, args.events, args.seed)
    for name in DATA_SETS:
        path = getattr(args, name.replace("-", "_"))
        if path is None:
            continue
        try:
            yield name, load(name, path, args.events)
        except (OSError, WrongUsage) as error:
            progress(f"{name}: {error}; passed over")


def compare(name: str, batch: Batch, args: Namespace) -> Iterator[Found]:
    """Yield how every rule served a stream; candidates at the quoted epoch only."""
    epochs = (1_000,) if args.brief else EPOCHS
    for alpha, epoch_events in product(ALPHAS, epochs):
        if 2 * epoch_events > batch.rows:
            continue
        rules = {**RULES, **CANDIDATES} if epoch_events == QUOTED_EPOCH else RULES
        alone = Setting(1, epoch_events, 1, alpha)
        one = simulate(batch, alone, RULES["sum"])
        yield Found(name, "one worker", alone, one, 1.0)
        progress(f"{name}: alpha {alpha}, epochs of {epoch_events:,}: {one.log_loss:.4f} alone")
        for workers in WORKERS:
            setting = Setting(workers, epoch_events, DELAY, alpha)
            yield from _each(name, batch, setting, rules, one)


def _each(
    name: str, batch: Batch, setting: Setting, rules: Mapping[str, Rule], one: Served
) -> Iterator[Found]:
    for rule, merge in rules.items():
        served = simulate(batch, setting, merge)
        yield Found(name, rule, setting, served, served.log_loss / one.log_loss)


def quoted(found: list[Found]) -> str:
    """Return the ratios at the quoted epoch, the rule's with calibration in brackets."""
    epoch_events = max(
        (e for e in {one.setting.epoch_events for one in found} if e <= QUOTED_EPOCH), default=0
    )
    cells = {
        (one.stream, one.setting.alpha, one.setting.workers, one.rule): one
        for one in found
        if one.setting.epoch_events == epoch_events
    }
    rules = [rule for rule in (*RULES, *CANDIDATES) if any(key[3] == rule for key in cells)]
    rows = [
        [
            f"{stream}{'' if stream in TUNED_ON else ' (held out)'}, alpha {alpha}, {workers}",
            *(_cell(cells[stream, alpha, workers, rule]) for rule in rules),
        ]
        for stream, alpha, workers in dict.fromkeys(key[:3] for key in cells if key[2] > 1)
    ]
    return table(["stream, rate, workers", *rules], rows)


def _cell(one: Found) -> str:
    return f"{one.ratio:.3f} ({one.served.calibration:.2f})"


if __name__ == "__main__":
    main()
