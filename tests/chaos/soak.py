"""A steady load with faults that end no process, for as long as wanted: nothing may grow.

    make soak ARGS="--minutes 30"

A job learns, a reader follows, a compactor collects and drops history. Memory, descriptors and
threads of every process and the number of files are sampled. Exit code 1 if one of them grows, or
if an event is lost or counted twice.
"""

import argparse
import json
import random
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from itertools import cycle
from pathlib import Path
from typing import Any, Final

import psutil
from rich.console import Console
from rich.table import Table

from strandline.errors import StoreError
from strandline_flink.dev.broker import Broker
from tests.chaos.faults import (
    abort_a_transaction,
    freeze_a_process,
    freeze_the_broker,
    move_the_store_away,
)
from tests.chaos.resources import Growth, Sampling
from tests.chaos.scene import TOPIC, Scene, log
from tests.integration.harness import check_exact
from tests.integration.live import Watching

FAULTS: Final = (freeze_a_process, freeze_the_broker, move_the_store_away, abort_a_transaction)
FAULT_EVERY_S: Final = 20.0
COMPACT: Final = ("--follow", "--every", "50", "--keep-versions", "200", "--gc")
ROLES: Final = {"strandline.commit.agent": "store agent", "beam_boot": "Python worker"}


def main() -> int:
    """Soak for the minutes that the command line asks for, and say what grew."""
    arguments = argparse.ArgumentParser(description=(__doc__ or "").split("\n")[0])
    arguments.add_argument("--minutes", type=float, default=30.0)
    arguments.add_argument("--seed", type=int, default=1)
    arguments.add_argument("--mode", choices=("thread", "process"), default="thread")
    arguments.add_argument("--json", action="store_true", help="end with one JSON object")
    options = arguments.parse_args()
    with tempfile.TemporaryDirectory(prefix="strandline-soak-") as folder:
        report, growth = soak(Path(folder), options)
    if options.json:
        sys.stdout.write(json.dumps(report) + "\n")
    else:
        Console(highlight=False).print(table(report, growth))
    return int(not all(each.flat for each in growth))


def soak(folder: Path, options: argparse.Namespace) -> tuple[dict[str, Any], list[Growth]]:
    """Let a job run for a while; return the report. An AssertionError is a violation."""
    rng = random.Random(options.seed)
    with Broker(folder / "broker") as broker:
        scene = Scene(broker, folder, rng, options.mode)
        with scene, Watching(scene.store, StoreError) as watching:
            with scene.producing:
                scene.start()
                scene.wait_for_more(20)
                with compacting(scene) as compactor:
                    growth = sample(scene, compactor, options.minutes)
            scene.finish()
            watching.catch_up()
        total = check_exact(broker, TOPIC, scene.run.store_url, files=False, holes=True)
    report = {
        "minutes": options.minutes,
        "mode": options.mode,
        "events": total.events,
        "versions": scene.store.head(),
        "starts": scene.starts,
        "growth": [each._asdict() | {"flat": each.flat} for each in growth],
    }
    return report, growth


def sample(scene: Scene, compactor: psutil.Process, minutes: float) -> list[Growth]:
    """Cause faults until the time is over; return what was sampled all along."""
    end_s = time.monotonic() + 60 * minutes
    with Sampling(lambda: roles(scene, compactor), Path(scene.run.store_url)) as sampling:
        for fault in cycle(FAULTS):
            if time.monotonic() > end_s:
                return sampling.growth()
            fault(scene)
            recovery_s = scene.wait_for_more(2)
            log(f"{fault.__name__}: two versions {recovery_s:.1f} s later")
            time.sleep(max(0.0, min(FAULT_EVERY_S, end_s - time.monotonic())))
    raise AssertionError("faults go round")


def roles(scene: Scene, compactor: psutil.Process) -> Mapping[str, psutil.Process]:
    """Return the processes by what they are."""
    found = {
        "reader (and producer)": psutil.Process(),
        "broker": psutil.Process(scene.broker.pid),
        "compactor": compactor,
        "command": psutil.Process(scene.run.pid),
    }
    for number, process in enumerate(sorted(scene.run.processes(), key=lambda each: each.pid)):
        words = " ".join(process.cmdline())
        role = next((name for part, name in ROLES.items() if part in words), process.name())
        found[role if role not in found else f"{role} {number}"] = process
    return found


@contextmanager
def compacting(scene: Scene) -> Iterator[psutil.Process]:
    """Run a compactor beside the job."""
    command = [sys.executable, "-m", "strandline.cli", "compact", scene.run.store_url, *COMPACT]
    with subprocess.Popen(command, stdout=subprocess.DEVNULL) as running:
        try:
            yield psutil.Process(running.pid)
        finally:
            running.terminate()


def table(report: dict[str, Any], growth: list[Growth]) -> Table:
    """Return one row per measure."""
    counts = f"{report['events']:,} events, {report['versions']:,} versions"
    title = f"{report['minutes']:g} minutes, {counts}"
    made = Table("what", "unit", "early", "late", "", title=title)
    for each in growth:
        verdict = "" if each.flat else "[red]grows[/red]"
        made.add_row(each.what, each.unit, f"{each.early:.0f}", f"{each.late:.0f}", verdict)
    return made


if __name__ == "__main__":
    sys.exit(main())
