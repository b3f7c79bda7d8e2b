"""A model: the parameters of one version, and the spec's way from an event to them."""

from datetime import datetime
from typing import Any, Final, NamedTuple, TypeVar

import numpy as np
from numpy.typing import NDArray

from strandline.errors import EventRejected, SpecError, StoreError, WrongUsage
from strandline.events.json_records import EventEncoder, Events
from strandline.features import Batch, Decoder, PlainDecoder, category_key, field_seed
from strandline.kernels.compiling import compiling
from strandline.learners.base import Learner
from strandline.learners.decayed_counts import DecayedCounts
from strandline.learners.loading import make_learners, prepare_to_predict
from strandline.learners.sklearn_learner import SklearnLearner
from strandline.manifest import Manifest
from strandline.parameters.base import parameters_at
from strandline.reading.wanted import Positions, missing, positions_of, version_as_of
from strandline.spec import CountsSpec, SklearnSpec, Spec
from strandline.store import StoreLike, as_store
from strandline.store.chain import read_manifest, read_spec
from strandline.tables.table import Parameters

COMPILED_FOR_EVENTS: Final = 100_000
"""Events in one call that the plain decoder would read for as long as compiling takes."""

S = TypeVar("S", CountsSpec, SklearnSpec)


class Predictions(NamedTuple):
    """What one version predicts: `scores` float32 [events], in the order of the events.

    Each is what `Learner.predicts` of the learner says: a probability in [0, 1], a class (0 or 1),
    or a number. All are made by `version` and no other.
    """

    version: int
    scores: NDArray[np.float32]


class EventDecoder:
    """The spec's decoder for events without labels, in any form; threads share it.

    Until the decoder's kernel is compiled, which takes longer than many predictions, the plain
    decoder reads the events: to the same bits.
    """

    def __init__(self, spec: Spec) -> None:
        self.spec = spec
        self._encoder = EventEncoder(spec)
        self._decoder = Decoder(spec)
        self._plain = PlainDecoder(spec)

    def prepare(self) -> bool:
        """Make ready what decodes few events; whether that is the kernel, from where it is kept."""
        self._plain.decode([b"{}"], labelled=False)
        return self._decoder.load()

    def compile(self) -> None:
        """Compile the decoder's kernel, unless it is there."""
        with compiling("decoding events"):
            self._decoder.decode([], labelled=False)

    def decode(self, events: Events) -> Batch:
        """Decode all events; `EventRejected` names the first that cannot be decoded."""
        records = self._encoder.records(events)
        if len(records) >= COMPILED_FOR_EVENTS and not self._decoder.is_compiled:
            self.compile()
        decoder = self._decoder if self._decoder.is_compiled else self._plain
        batch, rejections = decoder.decode(records, labelled=False)
        if rejections:
            index, reason, detail, _ = rejections[0]
            which = f"event {index} of {len(records)}" if len(records) > 1 else "the event"
            others = f" ({len(rejections)} events are rejected)" if len(rejections) > 1 else ""
            raise EventRejected(
                f"{which} is rejected as {reason}: {detail}; expected an event as spec"
                f" {self.spec.name!r} describes it{others}"
            )
        return batch


class Model:
    """The immutable parameters of one version, as `open_model` and `Reader.model` give them.

    Any number of threads may use it at once.

    Attributes
    ----------
    version
        The version that every answer comes from.
    time_ms
        The version's time in ms since 1970, which decayed counts are as of.
    positions
        By stream and partition, the position of the next event: what is before it is learned.
    spec
        The description that the store keeps.
    """

    def __init__(self, manifest: Manifest, decoder: EventDecoder, parameters: Parameters) -> None:
        self.version, self.time_ms = manifest.version, manifest.time_ms
        self.positions = positions_of(manifest)
        self.spec = decoder.spec
        self._decoder = decoder
        self._parameters = parameters
        self._learners = make_learners(decoder.spec)
        for learner in self._learners.values():
            learner.bind(parameters)

    def decode(self, events: Events) -> Batch:
        """Return the events' features, which any version of this spec's model predicts from.

        Parameters
        ----------
        events
            One event or several: a dictionary, JSON as bytes or str, a list of them; or a pandas
            DataFrame or a pyarrow Table with an event per row, whose columns are paths of the
            spec such as `listing.price`. Labels and weights are not read.

        Raises
        ------
        EventRejected
            If an event cannot be decoded.
        WrongUsage
            If `events` is nothing that holds events.
        """
        return self._decoder.decode(events)

    def predict(self, events: Events | Batch, learner: str | None = None) -> Predictions:
        """Return what the learner predicts of each event: its probability, class or number.

        Parameters
        ----------
        events
            As `decode` takes them, or what it returned.
        learner
            Which learner predicts; may be left out if the spec has one that does.

        Raises
        ------
        SpecError
            If no learner, or not exactly one, is meant.
        EventRejected
            If an event cannot be decoded.
        WrongUsage
            If `events` is nothing that holds events.
        """
        chosen = self._predicting(learner)
        batch = events if isinstance(events, Batch) else self.decode(events)
        scores = chosen.predict(batch)
        assert scores is not None, "it says that it predicts"
        return Predictions(self.version, scores)

    def count(self, value: str | int | bool, learner: str | None = None) -> tuple[float, float]:
        """Return (events, positives) of a value of the category that a counts learner counts.

        They are integers, or floats as of `time_ms` if the learner has a half-life; (0, 0) of a
        value that was never seen. 7 and "7" are the same value.

        Raises
        ------
        SpecError
            If no counts learner, or not exactly one, is meant.
        """
        name, settings = self._one(CountsSpec, learner, "count(value)")
        key = category_key(value, field_seed(settings.feature))
        rows = self._parameters[f"{name}.counts"].gather(np.array([key], np.uint64))
        counting = self._learners[name]
        if isinstance(counting, DecayedCounts):
            rows = counting.at(rows, self.time_ms)
        events, positives = rows[0, :2].tolist()
        return events, positives

    def estimator(self, learner: str | None = None) -> Any:
        """Return a fitted scikit-learn object with this version's parameters; it is the caller's.

        `matrix` makes the events that it takes.

        Raises
        ------
        SpecError
            If no learner of type sklearn, or not exactly one, is meant.
        """
        return self._sklearn(learner, "estimator()").estimator()

    def matrix(self, events: Events, learner: str | None = None) -> Any:
        """Return the events [n, 2^bits] as `estimator` takes them, in scipy's CSR form.

        Raises `EventRejected` and `SpecError` as `predict` and `estimator` do.
        """
        chosen = self._sklearn(learner, "matrix(events)")
        return chosen.matrix(self.decode(events))

    def _predicting(self, learner: str | None) -> Learner:
        """Return the one learner that is meant and predicts."""
        if learner is not None and learner not in self._learners:
            raise SpecError(
                f"learner: expected one of {', '.join(sorted(self._learners))}, got {learner!r}"
            )
        names = list(self._learners) if learner is None else [learner]
        able = [name for name in names if self._learners[name].predicts is not None]
        if len(able) != 1:
            raise SpecError(
                f"learner: expected one that predicts, {', '.join(able)}; name it, as"
                f" learner={min(able)!r}"
                if able
                else f"learner: expected one that predicts, got {', '.join(names)}, which does not"
            )
        return self._learners[able[0]]

    def _sklearn(self, learner: str | None, call: str) -> SklearnLearner:
        name, _ = self._one(SklearnSpec, learner, call)
        chosen = self._learners[name]
        assert isinstance(chosen, SklearnLearner), "its spec says so"
        return chosen

    def _one(self, kind: type[S], learner: str | None, call: str) -> tuple[str, S]:
        """Return the one learner of a type that is meant, and its part of the spec."""
        those = {
            name: settings
            for name, settings in self.spec.learners.items()
            if isinstance(settings, kind)
        }
        wanted = f"a learner of type {kind.__struct_config__.tag}"
        if not those:
            raise SpecError(
                f"model.{call} needs {wanted}; spec {self.spec.name!r} has none, its learners are"
                f" {self._listed()}"
            )
        if learner is None and len(those) > 1:
            raise SpecError(
                f"model.{call}: spec {self.spec.name!r} has several learners of this type,"
                f" {', '.join(sorted(those))}; name one, as learner={min(those)!r}"
            )
        name = next(iter(those)) if learner is None else learner
        if name not in those:
            raise SpecError(
                f"learner: got {name!r}, expected {wanted}: one of {', '.join(sorted(those))}"
            )
        return name, those[name]

    def _listed(self) -> str:
        """Name the learners with their types."""
        return ", ".join(
            f"{name} ({settings.__struct_config__.tag})"
            for name, settings in sorted(self.spec.learners.items())
        )


def open_model(
    store: StoreLike,
    version: int | None = None,
    *,
    as_of: datetime | None = None,
    at_least: Positions | None = None,
) -> Model:
    """Open a version's model, head's if none is named.

    Parameters
    ----------
    store
        The store, or the path or URL that `open_store` opens it by.
    version
        Which version; default: head.
    as_of
        A time with its zone: open the newest version that is not later.
    at_least
        Positions by stream and partition, as in ``{"events": {0: 1235}}``: the version must have
        reached them. A producer that wrote offset 1234 reads its own event so.

    Raises
    ------
    StoreError
        If there is no such version, or the version has not reached `at_least`.
    WrongUsage
        If both `version` and `as_of` are given.
    VersionGone
        If compaction removed the version's data; the message names the oldest one that opens.
    StoreDamaged
        If one of the files it is made of is missing or altered.
    """
    store = as_store(store)
    if version is not None and as_of is not None:
        raise WrongUsage(f"version {version} and as_of {as_of}: expected one of them, or none")
    head = store.head()
    at = head if version is None else version
    if as_of is not None:
        at = version_as_of(store, as_of)
    if not 0 <= at <= head:
        raise StoreError(f"{store.url} has no version {at}: the newest is {head}")
    spec = read_spec(store)
    manifest = read_manifest(store, at)
    if at_least is not None and (behind := missing(positions_of(manifest), at_least)):
        raise StoreError(
            f"{store.url}: version {at} stands at {positions_of(manifest)}, expected at least"
            f" {behind}: open a later version, or wait for one with Reader.wait(at_least=...)"
        )
    decoder = EventDecoder(spec)
    with compiling("predicting"):
        decoder.prepare()
        prepare_to_predict(learners := make_learners(spec))
        return Model(manifest, decoder, parameters_at(store, learners, at))
