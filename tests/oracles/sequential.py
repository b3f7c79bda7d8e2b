"""One pass over all events, one at a time, in plain Python: what a whole run should come to."""

import math
from collections.abc import Iterable
from dataclasses import dataclass, field

from strandline.spec import CountsSpec, FtrlSpec, Spec
from tests.oracles import features, ftrl


@dataclass
class Outcome:
    """`counts` per counts learner and key; `losses` per ftrl learner, of every prediction."""

    learned: int = 0
    reasons: dict[str, int] = field(default_factory=dict)
    counts: dict[str, dict[int, tuple[int, int]]] = field(default_factory=dict)
    models: dict[str, ftrl.Oracle] = field(default_factory=dict)
    losses: dict[str, list[float]] = field(default_factory=dict)
    weights: list[float] = field(default_factory=list)

    def log_loss(self, learner: str) -> float:
        """The weighted mean in nats."""
        return math.fsum(self.losses[learner]) / math.fsum(self.weights)


def run(spec: Spec, records: Iterable[bytes | None]) -> Outcome:
    outcome = Outcome()
    index = {name: i for i, name in enumerate(spec.features)}
    for name, settings in spec.learners.items():
        match settings:
            case FtrlSpec():
                fields = frozenset(index[feature] for feature in settings.features)
                outcome.losses[name] = []
                outcome.models[name] = ftrl.Oracle(
                    settings.alpha, settings.beta, settings.l1, settings.l2, settings.bits, fields
                )
            case CountsSpec():
                outcome.counts[name] = {}
    for record in records:
        event = features.decode(record, spec)
        if isinstance(event, str):
            outcome.reasons[event] = outcome.reasons.get(event, 0) + 1
            continue
        outcome.learned += 1
        outcome.weights.append(event.weight)
        for name, oracle in outcome.models.items():
            p = min(max(oracle.learn(event), 1e-7), 1 - 1e-7)
            loss = -math.log(p if event.label else 1 - p)
            outcome.losses[name].append(event.weight * loss)
        for name, counted in outcome.counts.items():
            settings = spec.learners[name]
            assert isinstance(settings, CountsSpec)
            of = index[settings.feature]
            for key in {key for key, at, _ in event.entries if at == of}:
                events, positives = counted.get(key, (0, 0))
                counted[key] = (events + 1, positives + (event.label > 0))
    return outcome
