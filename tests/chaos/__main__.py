"""Real faults on the real system: kills, freezes, a broker and a store that go, at random moments.

    make chaos
    make chaos ARGS="--faults 100 --seed 7 --mode process"

A broker gets events all the while, a run learns them, a reader checks every model it is offered.
One fault after the other happens, drawn by the seed; after each one new versions must come. In the
end the topic is read independently: every event must be in exactly one version, and counted once.
Exit code 1 if that does not hold. The moments are the machine's: a seed gives the same faults in
the same order, not the same interleaving.
"""

import argparse
import json
import random
import sys
import tempfile
from collections import Counter
from collections.abc import Sequence
from pathlib import Path
from statistics import median
from typing import Any, NamedTuple

from rich.console import Console
from rich.table import Table

from strandline.errors import StoreError
from strandline.upkeep.fsck import check_store
from strandline_flink.dev.broker import Broker
from tests.chaos.faults import FAULTS, Fault
from tests.chaos.scene import TOPIC, Scene, log
from tests.integration.harness import check_exact, commits, read_all, seen
from tests.integration.live import Watching


class Happened(NamedTuple):
    """A fault, and how long it took until new versions came after it."""

    fault: str
    recovery_s: float


def main() -> int:
    """Cause the faults that the command line asks for, and say what came of them."""
    arguments = argparse.ArgumentParser(description=(__doc__ or "").split("\n")[0])
    arguments.add_argument("--faults", type=int, default=20, help="how many happen")
    arguments.add_argument("--seed", type=int, default=1)
    arguments.add_argument("--mode", choices=("thread", "process"), default="thread")
    arguments.add_argument("--only", default="", metavar="TEXT", help="faults whose name has this")
    arguments.add_argument("--json", action="store_true", help="end with one JSON object")
    options = arguments.parse_args()
    chosen = [fault for fault in FAULTS if options.only in fault.__name__]
    if not chosen:
        names = ", ".join(fault.__name__ for fault in FAULTS)
        arguments.error(f"no fault has {options.only!r} in its name; there are {names}")
    with tempfile.TemporaryDirectory(prefix="strandline-chaos-") as folder:
        report = cause(Path(folder), drawn(chosen, options.faults, options.seed), options)
    if options.json:
        sys.stdout.write(json.dumps(report) + "\n")
    else:
        Console(highlight=False).print(to_table(report))
    return 0


def drawn(faults: Sequence[Fault], count: int, seed: int) -> list[Fault]:
    """Return so many faults in random order, each as often as the others."""
    rng = random.Random(seed)
    found: list[Fault] = []
    while len(found) < count:
        found += rng.sample(list(faults), len(faults))
    return found[:count]


def cause(folder: Path, faults: Sequence[Fault], options: argparse.Namespace) -> dict[str, Any]:
    """Let faults happen to a new scene; return the report. An AssertionError is a violation."""
    rng = random.Random(options.seed)
    happened: list[Happened] = []
    with Broker(folder / "broker") as broker:
        scene = Scene(broker, folder, rng, options.mode)
        with scene, Watching(scene.store, StoreError) as watching:
            with scene.producing:
                scene.start()
                scene.wait_for_more(3)
                for number, fault in enumerate(faults, 1):
                    scene.pause(0, 1.5)
                    name = fault.__name__.replace("_", " ")
                    log(f"{number}/{len(faults)} {name}, at version {scene.store.head()}")
                    fault(scene)
                    recovery_s = scene.wait_for_more(2)
                    happened.append(Happened(name, recovery_s))
                    log(f"{number}/{len(faults)} two versions {recovery_s:.1f} s later")
            log("the last events are learned")
            scene.finish()
            watching.catch_up()
        log("the topic is read again and compared")
        events = Counter((partition, at) for partition, at, _ in read_all(broker, TOPIC))
        counted = seen(commits(scene.store))
        lost, duplicated = (events - counted).total(), counted.total() - len(counted)
        assert (lost, duplicated) == (0, 0), f"{lost} events lost, {duplicated} duplicated"
        total = check_exact(broker, TOPIC, scene.run.store_url, files=False, holes=True)
        damages = check_store(scene.store).damages
        assert list(damages) == [], damages
    return {
        "faults": [each._asdict() for each in happened],
        "events": total.events,
        "learned": total.learned,
        "rejected": total.rejected,
        "lost": lost,
        "duplicated": duplicated,
        "versions": scene.store.head(),
        "models_checked": len(watching.versions),
        "starts": scene.starts,
        "seed": options.seed,
        "mode": options.mode,
    }


def to_table(report: dict[str, Any]) -> Table:
    """Return one row per kind of fault."""
    title = (
        f"{len(report['faults'])} faults, {report['events']:,} events in {report['versions']:,}"
        f" versions: {report['lost']} lost, {report['duplicated']} duplicated;"
        f" {report['models_checked']:,} models checked"
    )
    made = Table("fault", "times", "until two new versions, median and longest", title=title)
    for name in sorted({each["fault"] for each in report["faults"]}):
        times_s = [each["recovery_s"] for each in report["faults"] if each["fault"] == name]
        made.add_row(name, str(len(times_s)), f"{median(times_s):.1f} s, {max(times_s):.1f} s")
    return made


if __name__ == "__main__":
    sys.exit(main())
