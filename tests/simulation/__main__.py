"""Play schedules of jobs, failures and losses of power on the real commit and store code.

    make simulate ARGS="--schedules 100000"
    make simulate ARGS="--seed 4711 --schedules 1"

Seed after seed makes a schedule; the same seed makes the same one, so a run goes on where another
ended with --seed. A schedule that breaks a promise is made short, printed step by step, and ends
the run with exit code 1.
"""

import argparse
import sys
import time
from collections import Counter

from rich.console import Console
from rich.table import Table

from tests.simulation.schedules import STEPS, play, schedule, shortened

SAY_EVERY_S = 5.0


def main() -> int:
    """Play as many schedules as the command line asks for."""
    arguments = argparse.ArgumentParser(description=(__doc__ or "").split("\n")[0])
    arguments.add_argument("--schedules", type=int, default=10_000, help="how many")
    arguments.add_argument("--seed", type=int, default=0, help="of the first one")
    arguments.add_argument("--steps", type=int, default=STEPS, help="of each")
    options = arguments.parse_args()
    console, counts = Console(stderr=True, highlight=False), Counter[str]()
    begun_s = said_s = time.monotonic()
    for seed in range(options.seed, options.seed + options.schedules):
        steps = schedule(seed, options.steps)
        played = play(steps)
        counts += played.counts
        if played.broken is not None:
            console.print(f"seed {seed}: {played.broken}")
            for step in (short := shortened(steps)):
                console.print(f"  {step.action} {step.number}")
            console.print(f"{len(short)} of {len(steps)} steps: {play(short).broken}")
            return 1
        now_s = time.monotonic()
        if now_s - said_s > SAY_EVERY_S:
            said_s, done = now_s, seed - options.seed + 1
            console.print(f"{done:,} schedules, {done / (now_s - begun_s):.0f} per second")
    console.print(table(counts, options.schedules))
    return 0


def table(counts: Counter[str], schedules: int) -> Table:
    """Return how often what happened."""
    made = Table("what", "times", title=f"{schedules:,} schedules, no promise broken")
    for what, times in sorted(counts.items(), key=lambda pair: -pair[1]):
        made.add_row(what, f"{times:,}")
    return made


if __name__ == "__main__":
    sys.exit(main())
