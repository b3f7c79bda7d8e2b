"""What versions cost: a topic learned with checkpoints every 200 ms, 1 s and 10 s, and with none.

    make bench-exactly_once_cost ARGS="--events 6000000 --turns 5 --json"

"None" is an interval longer than the run: the job has one checkpoint, when its input ends, and
makes one version of it. Rates count from the first event that could be read to the last commit.
"""

from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any, Final

from bench.events import SPEC
from bench.figures import ratio, summary
from bench.output import cell, finish, parser, progress, table
from bench.strandline_run import Run, run
from bench.topic import Topic, filled_topic

INTERVALS: Final = {"none": "60m", "10s": "10s", "1s": "1s", "200ms": "200ms"}
BRIEF_EVENTS: Final = 20_000


def main() -> None:
    """Fill a topic and learn it with each interval in turn."""
    arguments = parser(__doc__)
    arguments.add_argument("--events", type=int, default=6_000_000)
    arguments.add_argument("--turns", type=int, default=3)
    arguments.add_argument("--mode", choices=("thread", "process"), default="thread")
    arguments.add_argument("--parallelism", type=int, default=1)
    args = arguments.parse_args()
    names = list(INTERVALS)
    if args.brief:
        args.events, args.turns, names = BRIEF_EVENTS, 1, ["none", "200ms"]
    found: dict[str, list[Run]] = {name: [] for name in names}
    with TemporaryDirectory(prefix="strandline-bench-") as folder:
        place = Path(folder)
        with filled_topic(place, args.events) as topic:
            for turn in range(args.turns):
                start = turn % len(names)
                for name in names[start:] + names[:start]:
                    done = measure(topic, place, INTERVALS[name], args.mode, args.parallelism)
                    found[name].append(done)
                    progress(f"turn {turn + 1}: {name}: {done.speed.events_per_s:,.0f}/s")
    result: dict[str, Any] = {
        "events": args.events,
        "intervals": {name: figures(found[name], found["none"]) for name in names},
        "mode": args.mode,
        "parallelism": args.parallelism,
    }
    for name, interval in result["intervals"].items():
        result[f"ratio_{name}"] = interval["ratio_none"]["median"]
    finish("exactly_once_cost", result, to_table(result), args)


def measure(topic: Topic, folder: Path, checkpoint: str, mode: str, parallelism: int) -> Run:
    """Learn the topic once."""
    return run(topic, SPEC, folder, mode=mode, parallelism=parallelism, checkpoint=checkpoint)


def figures(done: list[Run], none: list[Run]) -> dict[str, Any]:
    """Return the runs with one interval, beside those without checkpoints."""
    rates = [each.speed.events_per_s for each in done]
    return {
        "cpu_us_per_event": summary([each.speed.cpu_us_per_event for each in done]),
        "events_per_s": summary(rates),
        "ratio_none": ratio(rates, [each.speed.events_per_s for each in none]),
        "versions": summary([each.versions for each in done]),
    }


def to_table(result: dict[str, Any]) -> str:
    """Return one row per interval."""
    rows = [
        [
            "none" if name == "none" else f"every {name}",
            cell(found["events_per_s"]),
            cell(found["ratio_none"], ".3f"),
            f"{found['versions']['median']:.0f}",
            f"{found['cpu_us_per_event']['median']:.1f} µs",
        ]
        for name, found in result["intervals"].items()
    ]
    return table(("checkpoints", "events/s", "against none", "versions", "CPU per event"), rows)


if __name__ == "__main__":
    main()
