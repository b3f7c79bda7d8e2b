"""What is popular, and what is popular now: counts, and counts that fade.

    python examples/trending/trending.py

plays two hours of views, one version a minute. Half an hour before the end a comet is seen and
everybody watches it for ten minutes. Views are counted twice by one model: for ever, and with a
half-life of ten minutes. `--events-only` prints the events, one JSON object a line, for a topic or
for `strandline learn`, where a version's time is the clock's.
"""

import argparse
import json
import random
import signal
import tempfile
from collections.abc import Iterator
from pathlib import Path

import strandline
from strandline import Model, Spec

SPEC = Path(__file__).with_name("trending.toml")
MINUTES = 120
COMET_FROM, COMET_TO = 90, 100
ITEMS = [f"item-{rank:03}" for rank in range(200)]
COMET = "comet"
START_MS = 1_700_000_000_000


def views(per_minute: int, seed: int = 3) -> Iterator[bytes]:
    """Yield views, the same number in each minute."""
    rng = random.Random(seed)
    for minute in range(MINUTES):
        for _ in range(per_minute):
            item = ITEMS[min(int(rng.paretovariate(0.8)) - 1, len(ITEMS) - 1)]
            if COMET_FROM <= minute < COMET_TO and rng.random() < 0.7:
                item = COMET
            watched = rng.random() < 0.4
            yield json.dumps({"item": item, "minute": minute, "watched": watched}).encode()


class Clock:
    """The time of versions: one minute later at each one. A live job has the wall clock."""

    def __init__(self) -> None:
        self.now_ms = START_MS

    def __call__(self) -> int:
        self.now_ms += 60_000
        return self.now_ms


def top(model: Model, learner: str, count: int = 3) -> list[tuple[str, float]]:
    """Return the items with the most views of a version. Candidates are the catalogue's."""
    found = {item: model.count(item, learner)[0] for item in [*ITEMS, COMET]}
    return sorted(found.items(), key=lambda each: -each[1])[:count]


def show(model: Model, minute: int) -> None:
    """Print both lists of one version."""
    print(f"minute {minute}, version {model.version}")
    for learner in ("popular", "trending"):
        listed = ", ".join(f"{item} {views:,.0f}" for item, views in top(model, learner))
        print(f"  {learner:9} {listed}")


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--views", type=int, default=500, help="per minute")
    parser.add_argument("--store", help="default: a folder that is gone afterwards")
    parser.add_argument("--events-only", action="store_true")
    options = parser.parse_args()
    if options.events_only:
        for view in views(options.views):
            print(view.decode())
        return
    with tempfile.TemporaryDirectory() as folder:
        store = strandline.create_store(options.store or f"{folder}/store", Spec.load(SPEC))
        summary = strandline.learn(
            store,
            views(options.views),
            "views",
            {"file": "generated"},
            epoch_events=options.views,
            clock_ms=Clock(),
        )
        opened = summary.version - MINUTES
        for minute in (COMET_FROM, COMET_TO, MINUTES):
            show(strandline.open_model(store, opened + minute), minute)


if __name__ == "__main__":
    signal.signal(signal.SIGPIPE, signal.SIG_DFL)  # `| head` ends it in silence
    main()
