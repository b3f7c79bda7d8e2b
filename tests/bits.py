"""A program for tests: the bits of everything that learns, as digests by name, in JSON.

Run under other settings of the C library, of numpy and of the compiler, it stands for another
processor. `library` and `numpy` are digests of what is *not* ours, and show that a setting works.
"""

import hashlib
import json
import math
from collections.abc import Callable

import numpy as np
from numpy.typing import NDArray

from strandline.kernels.exponential import exp2, sigmoid
from strandline.kernels.logarithm import log, log1p
from strandline.reading.model import open_model
from strandline.spec import Spec
from strandline.store import create_store
from tests.jobs import Job
from tests.streams import CLICKS, clicks
from tests.unit.test_every_learner import LEARNERS

OWN_LEARNERS = """
[learners.second]
type = "ftrl"
merge = "sum"
l1 = 0.1
bits = 10
[learners.trend]
type = "counts"
feature = "item"
half_life_s = 0.7
"""


def digest(*parts: bytes) -> str:
    return hashlib.sha256(b"".join(parts)).hexdigest()


def learned(text: str) -> str:
    """Return the digest of all versions that two workers make, with sums, and of predictions."""
    store = create_store("memory:", Spec.parse(text))
    job = Job(store, workers=2)
    for epoch in range(4):
        job.epoch({0: clicks(1300, 2 * epoch), 1: clicks(700, 2 * epoch + 1)})
        job.commit()
    manifests = [store.manifest(version) or b"" for version in range(store.head() + 1)]
    model = open_model(store)
    scores = model.predict(clicks(200, 77), "ctr").scores
    return digest(*manifests, scores.tobytes(), repr(model.count("i0", "trend")).encode())


def values() -> NDArray[np.float64]:
    rng = np.random.default_rng(3)
    return np.concatenate([rng.normal(0, 3, 20_000), rng.uniform(-740, 700, 20_000)])


def mapped(function: Callable[[float], float], numbers: NDArray[np.float64]) -> str:
    return digest(np.array([function(x) for x in numbers.tolist()]).tobytes())


def main() -> None:
    x = values()
    positive = np.exp2(np.trunc(x)) * 1.25 + np.abs(np.float32(x))
    print(
        json.dumps(
            {
                "exp2": mapped(exp2, x),
                "sigmoid": mapped(sigmoid, x),
                "log": mapped(log, positive),
                "log1p": mapped(log1p, positive),
                "learners": learned(CLICKS + OWN_LEARNERS),
                "sklearn": learned(CLICKS + LEARNERS),
                "library": mapped(math.exp, x[x < 700]),
                "numpy": digest(np.exp(x).tobytes(), np.log(positive).tobytes()),
            }
        )
    )


if __name__ == "__main__":
    main()
