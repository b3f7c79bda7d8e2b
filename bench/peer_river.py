"""River's logistic regression with FTRL, event by event.

`python -m bench.peer_river BOOTSTRAP TOPIC EVENTS`
"""

import json
import math
import sys
import time

import orjson
from river import linear_model, optim

from bench.peer_events import batches

POLL_EVENTS = 2000


def main() -> None:
    bootstrap, topic, events = sys.argv[1], sys.argv[2], int(sys.argv[3])
    model = linear_model.LogisticRegression(
        optim.FTRLProximal(alpha=0.05, beta=1.0, l1=0.0, l2=0.0)
    )
    loss, seen = 0.0, 0
    started = time.perf_counter()
    for values in batches(bootstrap, topic, events, POLL_EVENTS):
        for value in values:
            event = orjson.loads(value)
            label = event.pop("_label")
            del event["_time"]
            x = {
                **{key: value for key, value in event.items() if not isinstance(value, str)},
                **{f"{key}={value}": 1 for key, value in event.items() if isinstance(value, str)},
            }
            clicked = model.predict_proba_one(x)[True]
            loss -= math.log(max(clicked if label else 1 - clicked, 1e-15))
            model.learn_one(x, label)
        seen += len(values)
    seconds = time.perf_counter() - started
    print(json.dumps({"events": seen, "seconds": seconds, "log_loss": loss / seen}))


if __name__ == "__main__":
    main()
