"""Click-through rate: which ad to show to whom, learned from who clicked on what.

    python examples/clickthrough/clickthrough.py

makes impressions, learns them in this process, one version every 5,000, and asks the model. With
`--kafka` they go through a real broker and a Flink job instead: the same model, the same store.
`--events-only` prints the impressions, one JSON object a line.
"""

import argparse
import json
import math
import random
import signal
import tempfile
from collections.abc import Iterator
from pathlib import Path

import strandline
from strandline import Model, Spec, Store
from strandline.manifest import TrainBody
from strandline.store import read_manifest

SPEC = Path(__file__).with_name("clickthrough.toml")
TOPICS = ["cars", "food", "music", "travel"]
ADS = {f"ad-{number:02}": TOPICS[number % len(TOPICS)] for number in range(24)}


def chance(ad: str, interest: str, place: int) -> float:
    """Return the probability of a click: the truth that the model is to find."""
    appeal = (int(ad[3:]) * 7 % 24 - 12) / 12  # some ads are better than others
    liking = 1.6 if ADS[ad] == interest else 0.0
    return 1 / (1 + math.exp(2.6 - appeal - liking + 0.3 * place))


def impressions(count: int, seed: int = 5) -> Iterator[bytes]:
    """Yield what was shown to whom, and whether it was clicked on."""
    rng = random.Random(seed)
    for _ in range(count):
        ad, interest, place = rng.choice(list(ADS)), rng.choice(TOPICS), rng.randint(1, 4)
        event = {
            "ad": ad,
            "click": rng.random() < chance(ad, interest, place),
            "hour": rng.randrange(24),
            "interest": interest,
            "place": place,
            "topic": ADS[ad],
        }
        yield json.dumps(event).encode()


def log_losses(store: Store) -> list[float]:
    """Return each version's log-loss, of predictions made before the clicks were learned."""
    bodies = (read_manifest(store, version).body for version in range(store.head() + 1))
    sums = [body.prequential["ctr"] for body in bodies if isinstance(body, TrainBody)]
    return [each.log_loss / each.weight for each in sums]


def show(model: Model, store: Store) -> None:
    """Print how the predictions got better, and the best ads for everybody."""
    losses = log_losses(store)
    print(f"log-loss {losses[0]:.4f} in the first version, {losses[-1]:.4f} in the newest")
    for interest in TOPICS:
        asked = [{"ad": ad, "interest": interest, "place": 1, "topic": ADS[ad]} for ad in ADS]
        scores = model.predict(asked, "ctr").scores
        best = sorted(zip(scores, ADS, strict=True), reverse=True)[:3]
        words = (f"{ad} {score:.1%} (truth {chance(ad, interest, 1):.1%})" for score, ad in best)
        print(f"  to those who like {interest:6} show {', '.join(words)}")
    shown, clicked = model.count("ad-00", "shown")
    print(f"version {model.version} has counted {shown} impressions of ad-00, {clicked} clicks")


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--events", type=int, default=100_000)
    parser.add_argument("--store", type=Path, help="default: a folder that is gone afterwards")
    parser.add_argument("--kafka", action="store_true", help="through a broker and Flink")
    parser.add_argument("--events-only", action="store_true")
    options = parser.parse_args()
    events = impressions(options.events)
    if options.events_only:
        for event in events:
            print(event.decode())
        return
    with tempfile.TemporaryDirectory() as folder:
        url = options.store or Path(folder) / "store"
        store = strandline.create_store(str(url), Spec.load(SPEC))
        if options.kafka:
            from strandline_flink.dev.topic_run import run_on_topic

            run_on_topic(SPEC, events, url)
        else:
            source = {"file": "generated"}
            strandline.learn(store, events, "impressions", source, epoch_events=5000)
        show(strandline.open_model(store), store)


if __name__ == "__main__":
    signal.signal(signal.SIGPIPE, signal.SIG_DFL)  # `| head` ends it in silence
    main()
