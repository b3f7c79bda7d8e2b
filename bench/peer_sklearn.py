"""A scikit-learn loop as one would write it.

`python -m bench.peer_sklearn BOOTSTRAP TOPIC EVENTS`

Each batch is predicted before it is learned. Batches are large, because every `partial_fit` copies
the whole of the coefficients; the step size is the best of those tried on these events, with the
default the loss is above 6.
"""

import json
import sys
import time

import numpy as np
import orjson
from sklearn.feature_extraction import FeatureHasher
from sklearn.linear_model import SGDClassifier

from bench.peer_events import batches

BATCH_EVENTS = 10_000


def main() -> None:
    bootstrap, topic, events = sys.argv[1], sys.argv[2], int(sys.argv[3])
    hasher = FeatureHasher(2**22)
    model = SGDClassifier(
        loss="log_loss", alpha=1e-7, learning_rate="invscaling", eta0=0.01, power_t=0.25
    )
    loss, seen = 0.0, 0
    started = time.perf_counter()
    for values in batches(bootstrap, topic, events, BATCH_EVENTS):
        rows = [orjson.loads(value) for value in values]
        labels = np.array([row.pop("_label") for row in rows])
        for row in rows:
            del row["_time"]
        features = hasher.transform(rows)
        if seen:
            right = np.abs(1 - labels - model.predict_proba(features)[:, 1])
        else:
            right = np.full(len(labels), 0.5)
        loss -= float(np.log(np.maximum(right, 1e-15)).sum())
        model.partial_fit(features, labels, classes=[0, 1])
        seen += len(labels)
    seconds = time.perf_counter() - started
    print(json.dumps({"events": seen, "seconds": seconds, "log_loss": loss / seen}))


if __name__ == "__main__":
    main()
