"""Schedules: made of a seed, played, and made short when they break a promise."""

from collections import Counter
from collections.abc import Sequence
from random import Random
from typing import Final, NamedTuple

from tests.simulation.world import WEIGHTS, Step, Violation, World

STEPS: Final = 60
_ACTIONS: Final = [*WEIGHTS]
_SHARES: Final = [*WEIGHTS.values()]


def schedule(seed: int, steps: int = STEPS) -> list[Step]:
    """Return the steps that a seed stands for; each stream has a job from the start."""
    rng = Random(seed)
    actions = ["produce", "start", *rng.choices(_ACTIONS, _SHARES, k=steps)]
    return [Step(action, rng.getrandbits(32)) for action in actions]


class Played(NamedTuple):
    """The promise that a schedule breaks, None if it breaks none, and how often what happened."""

    broken: str | None
    counts: Counter[str]


def play(steps: Sequence[Step]) -> Played:
    """Take all steps. Whatever the code under test raises is a broken promise, too."""
    world = World()
    broken = None
    try:
        for step in steps:
            world.take(step)
        world.finish()
    except Violation as error:
        broken = str(error)
    except Exception as error:  # noqa: BLE001
        broken = f"{type(error).__name__}: {error}"
    world.counts["steps"] += len(steps)
    return Played(broken, world.counts)


def shortened(steps: Sequence[Step]) -> list[Step]:
    """Return a short schedule that still breaks a promise: no single step of it can be left out."""
    kept = list(steps)
    size = len(kept) // 2
    while size:
        begin = 0
        while begin < len(kept):
            fewer = kept[:begin] + kept[begin + size :]
            if play(fewer).broken is not None:
                kept = fewer
            else:
                begin += size
        size //= 2
    return kept
