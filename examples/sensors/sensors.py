"""Fuel consumption of a fleet, learned from driving sensors: a regression with scikit-learn.

    python examples/sensors/sensors.py

makes events, runs `strandline learn` over them, and asks the model. With `--kafka` they go through
a real broker and a Flink job instead. `--events-only` prints them, one JSON object a line.
"""

import argparse
import json
import random
import signal
import subprocess
import sys
import tempfile
from collections.abc import Iterator
from pathlib import Path

from strandline import Model, open_model, open_store
from strandline.manifest import TrainBody
from strandline.store import Store, read_manifest

SPEC = Path(__file__).with_name("sensors.toml")
VEHICLES = 40
FUELS = {"diesel": -0.8, "petrol": 0.6, "gas": 1.1}


def readings(count: int, seed: int = 7) -> Iterator[dict[str, object]]:
    """Yield readings of vehicles, each of which has a thirst of its own."""
    rng = random.Random(seed)
    thirst = [rng.gauss(7.0, 1.0) for _ in range(VEHICLES)]
    fuels = [rng.choice(list(FUELS)) for _ in range(VEHICLES)]
    for _ in range(count):
        vehicle = rng.randrange(VEHICLES)
        speed, slope = rng.uniform(20, 120), rng.gauss(0, 3)
        acceleration, load = rng.gauss(0, 0.7), rng.uniform(0, 800)
        litres = thirst[vehicle] + FUELS[fuels[vehicle]] + 0.02 * (speed - 70)
        litres += 1.5 * acceleration + 0.4 * slope + 0.002 * load + rng.gauss(0, 0.4)
        yield {
            "acceleration": round(acceleration, 3),
            "fuel": fuels[vehicle],
            "litres_per_100km": round(litres, 3),
            "load_kg": round(load),
            "slope": round(slope, 2),
            "speed": round(speed, 1),
            "vehicle": f"v{vehicle:02}",
        }


def errors(store: Store) -> list[float]:
    """Return the root mean squared error of each version, on events that it had not learned."""
    found = []
    for version in range(1, store.head() + 1):
        body = read_manifest(store, version).body
        if isinstance(body, TrainBody):
            sums = body.prequential["consumption"]
            found.append((sums.squared_error / sums.weight) ** 0.5)
    return found


def show(model: Model, store: Store) -> None:
    """Print how the error fell, and what the model says of three readings."""
    fallen = errors(store)
    print(f"root mean squared error, litres per 100 km: {fallen[0]:.2f} in the first version, "
          f"{fallen[-1]:.2f} in the newest (the noise alone is 0.40)")  # fmt: skip
    flat = {"vehicle": "v00", "fuel": "diesel", "speed": 70, "acceleration": 0, "load_kg": 0}
    asked = [flat | {"slope": slope} for slope in (-5, 0, 5)]
    for event, litres in zip(asked, model.predict(asked).scores, strict=True):
        print(f"  v00 at 70 km/h on a slope of {event['slope']:+} %: {litres:.1f} litres")
    estimator = model.estimator()
    print(f"version {model.version} as scikit-learn has it: {estimator}, "
          f"intercept {estimator.intercept_[0]:.2f}, t_ {estimator.t_:.0f}")  # fmt: skip


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--events", type=int, default=60_000)
    parser.add_argument("--store", type=Path, help="default: a folder that is gone afterwards")
    parser.add_argument("--kafka", action="store_true", help="through a broker and Flink")
    parser.add_argument("--events-only", action="store_true")
    options = parser.parse_args()
    lines = (json.dumps(reading) for reading in readings(options.events))
    if options.events_only:
        for line in lines:
            print(line)
        return
    with tempfile.TemporaryDirectory() as folder:
        store = options.store or Path(folder) / "store"
        if options.kafka:
            from strandline_flink.dev.topic_run import run_on_topic

            run_on_topic(SPEC, map(str.encode, lines), store)
        else:
            events = Path(folder) / "events.ndjson"
            events.write_text("\n".join(lines) + "\n")
            command = [sys.executable, "-m", "strandline.cli", "learn", str(SPEC)]
            command += ["--input", str(events), "--store", str(store), "--epoch-events", "5000"]
            subprocess.run(command, check=True)
        opened = open_store(str(store))
        show(open_model(opened), opened)


if __name__ == "__main__":
    signal.signal(signal.SIGPIPE, signal.SIG_DFL)  # `| head` ends it in silence
    main()
