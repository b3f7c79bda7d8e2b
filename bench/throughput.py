"""From a Kafka topic to a learned model: events a second, beside other learners.

    make bench-throughput ARGS="--events 6000000 --turns 5 --json"

All read the same events from one broker on the same cores (VW's own text format: from a file), and
learn logistic regression by FTRL on 2^22 slots (scikit-learn: by SGD). Strandline runs as
`strandline run --bounded`, with a version every second. Its time counts from the moment its source
could read the first event to the last commit; what starting Flink and loading the kernels takes is
reported apart, and so is the rate of the whole command. The others' time counts from their first
step after their libraries are imported. Log-loss is of predictions made before learning.
"""

import statistics
from collections.abc import Callable, Sequence
from functools import partial
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any, Final

from bench import peers
from bench.events import SPEC, VW_TEXT, lines
from bench.figures import ratio, summary
from bench.output import cell, finish, parser, progress, table
from bench.speed import Speed
from bench.strandline_run import Run, run
from bench.topic import Topic, filled_topic

OURS: Final = {
    "thread_1": ("thread", 1),
    "thread_2": ("thread", 2),
    "process_1": ("process", 1),
    "process_2": ("process", 2),
}
BRIEF: Final = ("thread_1",)
CHECKPOINT: Final = "1s"
TITLES: Final = {
    "thread_1": "Strandline, thread mode, 1 worker",
    "thread_2": "Strandline, thread mode, 2 workers",
    "process_1": "Strandline, process mode, 1 worker",
    "process_2": "Strandline, process mode, 2 workers",
    "kcat_vw": "`kcat | vw --json`",
    "vw_text": "VW, its text format from a file, no Kafka",
    "sklearn": "scikit-learn loop",
    "river": "River loop (a tenth of the events)",
}
BRIEF_EVENTS: Final = 20_000

Contenders = dict[str, Callable[[], Run | Speed]]
Results = dict[str, list[Run | Speed]]


def main() -> None:
    """Fill a topic, let the contenders take turns, and compare."""
    arguments = parser(__doc__)
    arguments.add_argument("--events", type=int, default=3_000_000)
    arguments.add_argument("--turns", type=int, default=3)
    arguments.add_argument("--only", nargs="+", choices=TITLES, default=list(TITLES))
    args = arguments.parse_args()
    if args.brief:
        args.events, args.turns, args.only = BRIEF_EVENTS, 1, list(BRIEF)
    with TemporaryDirectory(prefix="strandline-bench-") as folder:
        place = Path(folder)
        with filled_topic(place, args.events) as topic:
            found = take_turns(contenders(topic, place, args.only), args.turns)
    result = {"events": args.events, "contenders": {name: figures(found[name]) for name in found}}
    finish("throughput", result | compare(found), to_table(found), args)


def contenders(topic: Topic, folder: Path, only: Sequence[str]) -> Contenders:
    """Return those asked for that can run here, by name."""
    text = folder / "events.vw"
    made: Contenders = {
        name: partial(
            run,
            topic,
            SPEC,
            folder,
            mode=mode,
            parallelism=parallelism,
            checkpoint=CHECKPOINT,
        )
        for name, (mode, parallelism) in OURS.items()
    }
    made["kcat_vw"] = partial(peers.kcat_vw, topic)
    made["vw_text"] = partial(peers.vw_text, text)
    made["sklearn"] = partial(peers.sklearn, topic)
    made["river"] = partial(peers.river, topic)
    missing = peers.missing()
    for name in only:
        if name in missing:
            progress(f"{TITLES[name]} is left out: {missing[name]}")
    made = {name: made[name] for name in only if name not in missing}
    if "vw_text" in made:
        with text.open("wb") as file:
            file.writelines(lines(topic.events, VW_TEXT))
    return made


def take_turns(contenders: Contenders, turns: int) -> Results:
    """Let each run once per turn, in an order that moves on by one."""
    found: Results = {name: [] for name in contenders}
    names = list(contenders)
    for turn in range(turns):
        start = turn % len(names)
        for name in names[start:] + names[:start]:
            done = contenders[name]()
            found[name].append(done)
            progress(f"turn {turn + 1}: {TITLES[name]}: {speed(done).events_per_s:,.0f}/s")
    return found


def speed(done: Run | Speed) -> Speed:
    """Return a contender's speed, with or without a run around it."""
    return done.speed if isinstance(done, Run) else done


def rates(done: Sequence[Run | Speed]) -> list[float]:
    """Return events per second, turn by turn."""
    return [speed(each).events_per_s for each in done]


def figures(done: Sequence[Run | Speed]) -> dict[str, Any]:
    """Return what a contender did, over its turns."""
    speeds = [speed(each) for each in done]
    found: dict[str, Any] = {
        "events": speeds[0].events,
        "events_per_s": summary(rates(done)),
        "cpu_us_per_event": summary([each.cpu_us_per_event for each in speeds]),
        "log_loss": statistics.median(each.log_loss for each in speeds),
    }
    if runs := [each for each in done if isinstance(each, Run)]:
        whole = [each.speed.events / each.whole_s for each in runs]
        found["whole_command_events_per_s"] = summary(whole)
        found["start_s"] = summary([each.start_s for each in runs])
        found["versions"] = summary([each.versions for each in runs])
    return found


def compare(found: Results) -> dict[str, Any]:
    """Return our best mode, and the ratios of speeds within turns: medians, and all of `ratios`.

    `ratio_PEER` is our best mode's speed over the peer's, `ratio_process_thread` that of our best
    mode in processes over our best mode in threads.
    """
    middle = {name: statistics.median(rates(found[name])) for name in found}
    ours = sorted((name for name in found if name in OURS), key=lambda name: -middle[name])
    if not ours:
        return {}
    pairs = {name: (ours[0], name) for name in found if name not in OURS}
    threads = [name for name in ours if OURS[name][0] == "thread"]
    processes = [name for name in ours if OURS[name][0] == "process"]
    if threads and processes:
        pairs["process_thread"] = (processes[0], threads[0])
    ratios = {
        name: ratio(rates(found[one]), rates(found[other])) for name, (one, other) in pairs.items()
    }
    medians = {f"ratio_{name}": of["median"] for name, of in ratios.items()}
    return {"best": ours[0], "ratios": ratios} | medians


def to_table(found: Results) -> str:
    """Return the table: speeds, and how many times as fast our best mode is."""
    compared = compare(found)
    rows = []
    for name, done in found.items():
        all_figures = figures(done)
        against = compared.get("ratios", {}).get(name)
        whole, start = (all_figures.get(key) for key in ("whole_command_events_per_s", "start_s"))
        rows.append(
            [
                TITLES[name].replace("|", r"\|"),
                cell(all_figures["events_per_s"]),
                cell(against, ".2f") if against else "",
                f"{all_figures['cpu_us_per_event']['median']:.1f} µs",
                f"{all_figures['log_loss']:.4f}",
                f"{start['median']:.1f} s" if start else "",
                f"{whole['median']:,.0f}" if whole else "",
            ]
        )
    best = compared.get("best")
    times = f"{TITLES[best]} against it" if best else "ratio"
    head = ("", "events/s", times, "CPU per event", "log-loss", "start", "whole command, events/s")
    return table(head, rows)


if __name__ == "__main__":
    main()
