"""Small seeded streams of events for tests, with something in them to learn."""

import json
import math
import random
from pathlib import Path

from strandline.spec import Spec

CLICKS = """
name = "clicks"
[label]
path = "click"
[features.user]
kind = "category"
[features.item]
kind = "category"
required = true
[features.price]
kind = "number"
transform = "log1p"
[features.user_item]
kind = "cross"
of = ["user", "item"]
[learners.ctr]
type = "ftrl"
bits = 18
[learners.popularity]
type = "counts"
feature = "item"
"""

NESTED = Path(__file__).parents[1] / "examples" / "specs" / "nested.toml"


def clicks_spec(**learner: object) -> Spec:
    """The spec of `clicks`; keywords are settings of the learner `ctr`."""
    lines = "".join(f"{key} = {json.dumps(value)}\n" for key, value in learner.items())
    text = CLICKS if "bits" not in learner else CLICKS.replace("bits = 18\n", "")
    return Spec.parse(text.replace('type = "ftrl"\n', 'type = "ftrl"\n' + lines))


def clicks(count: int, seed: int = 0) -> list[bytes]:
    """Impressions of Zipf items to users; items and prices decide the clicks."""
    rng = random.Random(seed)
    taste = random.Random(1)
    appeal = [taste.gauss(-1.5, 1.2) for _ in range(200)]
    records = []
    for _ in range(count):
        item = min(int(rng.paretovariate(0.9)) - 1, 199)
        price = rng.lognormvariate(2, 1)
        chance = 1 / (1 + math.exp(-appeal[item] + 0.4 * (math.log1p(price) - 2)))
        event = {
            "click": rng.random() < chance,
            "item": f"i{item}",
            "price": round(price, 2),
            "user": rng.randrange(500),
        }
        records.append(json.dumps(event).encode())
    return records


def nested(count: int, seed: int = 0) -> list[bytes]:
    """Search results as examples/specs/nested.toml describes them."""
    rng = random.Random(seed)
    words = ["red", "blue", "shoe", "hat", "große", "鞋"]
    records = []
    for _ in range(count):
        item = min(int(rng.paretovariate(0.9)) - 1, 99)
        query = rng.sample(words, rng.randint(1, 3))
        bought = rng.random() < 1 / (1 + math.exp(1.5 - (item % 7) / 2 - ("red" in query)))
        event = {
            "outcome": {"bought": int(bought), "weight": 1 if bought else 2.5},
            "search": {"größe": " ".join(query), "words": query},
            "shown": {"item": {"id": item, "shelf": f"s{item % 5}", "price": 1.5 * item}},
            "user": {"balance": rng.gauss(0, 100)},
        }
        records.append(json.dumps(event, ensure_ascii=False).encode())
    return records
