"""A model: the parameters of one version, and the spec's way from an event to them."""

import threading
from collections.abc import Mapping, Sequence
from typing import Any, NamedTuple

import msgspec
import numpy as np
from numpy.typing import NDArray

from strandline.base import parameters_at, read_spec
from strandline.errors import EventRejected, SpecError, StoreError
from strandline.features import Batch, Decoder, category_key, field_seed
from strandline.learners.loading import make_learners
from strandline.spec import CountsSpec, Spec
from strandline.store.base import Store
from strandline.tables import Parameters

Event = bytes | Mapping[str, Any]


class Predictions(NamedTuple):
    """`scores` [events] are probabilities in [0, 1], all made by `version` and no other."""

    version: int
    scores: NDArray[np.float32]


class EventReader:
    """The spec's decoder for events without labels, shared by threads."""

    def __init__(self, spec: Spec) -> None:
        self.spec = spec
        self._decoder = Decoder(spec)
        self._lock = threading.Lock()

    def read(self, events: Sequence[Event]) -> Batch:
        """Decode all events; `EventRejected` names the first that cannot be decoded."""
        records = [e if isinstance(e, bytes) else msgspec.json.encode(e) for e in events]
        with self._lock:
            batch, rejections = self._decoder.decode(records, labelled=False)
        if rejections:
            index, reason, detail = rejections[0]
            raise EventRejected(
                f"event {index} of {len(events)} is rejected as {reason}: {detail}; expected an"
                f" event as spec {self.spec.name!r} describes it"
                f" ({len(rejections)} of these events are rejected)"
            )
        return batch


class Model:
    """The immutable parameters of one version. Threads may use it at once.

    Attributes
    ----------
    version
        The version that every answer comes from.
    spec
        The description that the store keeps.
    """

    def __init__(self, version: int, events: EventReader, parameters: Parameters) -> None:
        self.version = version
        self.spec = events.spec
        self._events = events
        self._parameters = parameters
        self._learners = make_learners(events.spec)
        for learner in self._learners.values():
            learner.bind(parameters)

    def predict(self, events: Sequence[Event], learner: str | None = None) -> Predictions:
        """Return each event's probability.

        Parameters
        ----------
        events
            JSON objects, as bytes or as dictionaries. Labels and weights are not read.
        learner
            Which learner predicts; may be left out if the spec has one that does.

        Raises
        ------
        EventRejected
            If an event cannot be decoded.
        SpecError
            If no learner, or not exactly one, is meant.
        """
        names = list(self._learners) if learner is None else [learner]
        if learner is not None and learner not in self._learners:
            raise SpecError(
                f"learner: expected one of {', '.join(sorted(self._learners))}, got {learner!r}"
            )
        batch = self._events.read(events)
        found = {name: self._learners[name].predict(batch) for name in names}
        scores = {name: each for name, each in found.items() if each is not None}
        if len(scores) != 1:
            raise SpecError(
                f"learner: expected one that predicts, got {', '.join(names)}, of which "
                f"{', '.join(scores) or 'none'} can; name one that does"
            )
        return Predictions(self.version, *scores.values())

    def count(self, value: str | int | bool, learner: str | None = None) -> tuple[int, int]:
        """Return (events, positives) of a value of the category that a counts learner counts.

        Raises `SpecError` if no counts learner, or not exactly one, is meant.
        """
        specs = {
            name: settings
            for name, settings in self.spec.learners.items()
            if isinstance(settings, CountsSpec) and learner in (None, name)
        }
        if len(specs) != 1:
            raise SpecError(
                f"learner {learner!r}: the spec's learners of type counts are {sorted(specs)},"
                " expected one: name it, as in count(value, learner=...)"
            )
        ((name, settings),) = specs.items()
        key = category_key(value, field_seed(settings.feature))
        events, positives = self._parameters[f"{name}.counts"].gather(np.array([key], np.uint64))[0]
        return int(events), int(positives)


def open_model(store: Store, version: int | None = None) -> Model:
    """Open a version's model, head's if none is named.

    Raises
    ------
    StoreError
        If there is no such version.
    StoreDamaged
        If one of the files it is made of is missing or altered.
    """
    head = store.head()
    at = head if version is None else version
    if not 0 <= at <= head:
        raise StoreError(f"{store.url} has no version {at}: the newest is {head}")
    spec = read_spec(store)
    return Model(at, EventReader(spec), parameters_at(store, make_learners(spec), at))
