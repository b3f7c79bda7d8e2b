"""Which threads take a job's processor time, from the first event to the last commit.

    make bench-threads ARGS="--events 6000000 --turns 5 --json"

Thread mode, one worker, with versions at several intervals and with one at the end. The time
counts from the moment the source could read its first event. Threads are told apart by the first 15
characters of their names, which is what Linux keeps. The last row is all that the machine's
processors did meanwhile: the broker, the kernel's own threads and this bench as well.
"""

import threading
import time
from collections import defaultdict
from collections.abc import Mapping
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any, Final

import psutil

from bench.events import SPEC
from bench.figures import summary
from bench.output import cell, finish, parser, progress, table
from bench.strandline_run import run
from bench.topic import Topic, filled_topic

INTERVALS: Final = {"none": "60m", "1s": "1s", "200ms": "200ms"}
BRIEF_EVENTS: Final = 20_000
SAMPLE_S: Final = 0.1
ALL: Final = "all processors"
OTHER: Final = "the job's other threads"
ROLES: Final = {
    "Source: BlockSo": "source task: worker (Python)",
    "Source Data Fet": "Kafka client and blocks",
    "EpochCut -> Mer": "merger (Python) and commit",
    "C1 CompilerThre": "Java's compiler",
    "VM Thread": "garbage collector",
}

Sample = dict[str, tuple[str, float]]
"""Role and seconds of processor time so far, by thread's number, and of all processors."""


def main() -> None:
    """Fill a topic and learn it with each interval in turn."""
    arguments = parser(__doc__)
    arguments.add_argument("--events", type=int, default=3_000_000)
    arguments.add_argument("--turns", type=int, default=3)
    args = arguments.parse_args()
    names = list(INTERVALS)
    if args.brief:
        args.events, args.turns, names = BRIEF_EVENTS, 1, ["200ms"]
    found: dict[str, list[dict[str, float]]] = {name: [] for name in names}
    with TemporaryDirectory(prefix="strandline-bench-") as folder:
        place = Path(folder)
        with filled_topic(place, args.events) as topic:
            for turn in range(args.turns):
                for name in names:
                    found[name].append(measure(topic, place, INTERVALS[name]))
                    progress(f"turn {turn + 1}: {name}: {found[name][-1][ALL]:.2f} µs per event")
    result: dict[str, Any] = {
        "events": args.events,
        "us_per_event": {
            name: {role: summary([each[role] for each in turns]) for role in turns[0]}
            for name, turns in found.items()
        },
    }
    finish("threads", result, to_table(result["us_per_event"]), args)


def measure(topic: Topic, folder: Path, checkpoint: str) -> dict[str, float]:
    """Learn the topic once; return µs of processor time per event by role."""
    samples: list[tuple[float, Sample]] = []
    stop = threading.Event()
    ours = descendants()  # the broker's

    def sample() -> None:
        while not stop.wait(SAMPLE_S):
            samples.append((time.time(), take_sample(ours)))

    sampler = threading.Thread(target=sample)
    sampler.start()
    begun_s = time.time()
    try:
        done = run(topic, SPEC, folder, mode="thread", parallelism=1, checkpoint=checkpoint)
    finally:
        stop.set()
        sampler.join()
    reads_s = begun_s + done.start_s
    first, last = (seen_by(samples, at) for at in (reads_s, reads_s + done.speed.seconds))
    spent_s = dict.fromkeys((*ROLES.values(), OTHER, ALL), 0.0)
    for thread, (role, seconds) in last.items():
        spent_s[role] += seconds - first.get(thread, (role, 0.0))[1]
    return {role: 1e6 * seconds / topic.events for role, seconds in spent_s.items()}


def seen_by(samples: list[tuple[float, Sample]], at_s: float) -> Sample:
    """Return what was seen last by a time; a thread that has ended stays as it was."""
    seen: Sample = {}
    for taken_s, sample in samples:
        if taken_s <= at_s + SAMPLE_S / 2:
            seen |= sample
    return seen


def take_sample(ours: set[psutil.Process]) -> Sample:
    """Return what all processors used, and the threads of processes below this one but `ours`."""
    busy = psutil.cpu_times()
    busy_s = busy.user + busy.nice + busy.system + busy.irq + busy.softirq + busy.steal
    sample: Sample = {ALL: (ALL, busy_s)}
    for process in descendants() - ours:
        for task in Path(f"/proc/{process.pid}/task").glob("*"):
            try:
                name = (task / "comm").read_text().rstrip("\n")
                nanoseconds = int((task / "schedstat").read_text().split()[0])
            except OSError:
                continue  # it has ended
            sample[task.name] = ROLES.get(name, OTHER), nanoseconds / 1e9
    return sample


def descendants() -> set[psutil.Process]:
    """Return the processes below this one."""
    return set(psutil.Process().children(recursive=True))


def to_table(found: Mapping[str, Mapping[str, Any]]) -> str:
    """Return a row per role, a column per interval."""
    cells = defaultdict(list)
    for roles in found.values():
        for role, spent in roles.items():
            cells[role].append(cell(spent, ".2f"))
    columns = ["no versions" if name == "none" else f"every {name}" for name in found]
    return table(("µs per event", *columns), [[role, *row] for role, row in cells.items()])


if __name__ == "__main__":
    main()
