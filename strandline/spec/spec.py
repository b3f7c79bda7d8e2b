"""`Spec`: the description of a model that a store keeps and every process reads."""

import tomllib
from collections.abc import Iterator, Mapping
from pathlib import Path as FilePath
from typing import Annotated, Any, Self

import msgspec
from msgspec import Meta, Struct

from strandline.encoding.canonical import canonical_json, sha256_hex
from strandline.encoding.structs import ready
from strandline.errors import SpecError
from strandline.limits import (
    EVENT_BYTES_MAX,
    EVENT_DEPTH_MAX,
    EVENT_ENTRIES_MAX,
    SPEC_BYTES_MAX,
)
from strandline.spec.convert import (
    as_table,
    check_word,
    fail,
    fail_missing,
    to_struct,
    to_tagged,
)
from strandline.spec.estimators import NaiveBayes, to_estimator
from strandline.spec.features import Category, Cross, Feature, Number, Path
from strandline.spec.learners import CountsSpec, FtrlSpec, LearnerSpec, SklearnSpec
from strandline.spec.legality import check_name, check_spec
from strandline.spec.plugins import load_plugin, plugin_types


class Label(Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """Where an event's outcome stands: a bool or a number, 0 or 1 for a binary learner."""

    path: Path


class Weight(Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """Where an event's weight stands: a finite number above 0."""

    path: Path


class Limits(Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """Bounds of one event, and the share of rejected events that ends a run.

    `entries` counts the features of an event, multi-values and crosses included, the bias not.
    """

    event_bytes: Annotated[int, Meta(ge=2, le=EVENT_BYTES_MAX)] = 65_536
    depth: Annotated[int, Meta(ge=1, le=EVENT_DEPTH_MAX)] = 16
    entries: Annotated[int, Meta(ge=1, le=EVENT_ENTRIES_MAX)] = 1024
    rejected_share: Annotated[float, Meta(ge=0, le=1)] = 0.5


class Spec(Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """An immutable description of a model: label, features, learners and limits.

    `docs/spec.md` lists every setting. Features and learners are in the order of their names, so
    that the order of the text that described them has no influence on any byte.

    Examples
    --------
    >>> spec = Spec.parse('''
    ... name = "tiny"
    ... label.path = "click"
    ... features.item.kind = "category"
    ... learners.ctr.type = "ftrl"
    ... ''')
    >>> spec.learners["ctr"].alpha
    0.05
    >>> Spec.from_json(spec.to_json()) == spec
    True
    """

    name: str
    label: Label
    weight: Weight | None = None
    features: Mapping[str, Feature]
    learners: Mapping[str, LearnerSpec]
    limits: Limits

    @classmethod
    def parse(cls, text: str, *, origin: str = "<text>") -> Self:
        """Read a spec from TOML text. `origin` names the text in errors.

        Raises
        ------
        SpecError
            If the text is not TOML, or not a legal spec.
        """
        try:
            _check_size(len(text.encode()))
            return cls._from_raw(tomllib.loads(text))
        except (ValueError, RecursionError) as error:
            message = f"{origin}: expected TOML, got a text that is not: {error}"
            raise SpecError(message) from error
        except SpecError as error:
            raise SpecError(f"{origin}: {error}") from error

    @classmethod
    def load(cls, path: str | FilePath) -> Self:
        """Read a spec from a TOML file. Raises SpecError, also when the file cannot be read."""
        try:
            with open(path, "rb") as file:
                text = file.read(SPEC_BYTES_MAX + 1).decode()
        except (OSError, UnicodeDecodeError) as error:
            raise SpecError(f"{path}: expected a TOML file in UTF-8, got: {error}") from error
        return cls.parse(text, origin=str(path))

    @classmethod
    def from_json(cls, data: bytes) -> Self:
        """Read a spec from its JSON form. Raises SpecError."""
        try:
            _check_size(len(data))
            return cls._from_raw(msgspec.json.decode(data))
        except (msgspec.MsgspecError, UnicodeDecodeError, RecursionError) as error:
            raise SpecError(f"<json>: expected JSON, got bytes that are not: {error}") from error
        except SpecError as error:
            raise SpecError(f"<json>: {error}") from error

    def to_json(self) -> bytes:
        """Return the canonical JSON bytes, all defaults written out."""
        return canonical_json(msgspec.to_builtins(self))

    @property
    def sha256(self) -> str:
        """The spec's identity: the hexadecimal SHA-256 of `to_json()`."""
        return sha256_hex(self.to_json())

    @property
    def binary(self) -> bool:
        """Whether a learner of the spec takes labels 0 and 1 only."""
        return any(learner.binary for learner in self.learners.values())

    def paths(self) -> Iterator[tuple[str, str, str]]:
        """Yield (place in the spec, dotted path, role) of all that is read from an event.

        The role is "label", "weight", "number" or "category".
        """
        yield "label.path", self.label.path, "label"
        if self.weight is not None:
            yield "weight.path", self.weight.path, "weight"
        for name, feature in self.features.items():
            match feature:
                case Number():
                    yield f"features.{name}.path", feature.path, "number"
                case Category():
                    yield f"features.{name}.path", feature.path, "category"
                case Cross():
                    pass

    @classmethod
    def _from_raw(cls, raw: object) -> Self:
        table = as_table(raw, "spec")
        for key in table:
            check_word(key, key, cls.__struct_fields__, "a part of a spec")
        for key in ("name", "label", "features", "learners"):
            if key not in table:
                fail_missing(key, "this part of a spec")
        check_name("name", table["name"])
        features = _named(table["features"], "features")
        weight = table.get("weight")
        spec = cls(
            name=table["name"],
            label=to_struct(table["label"], Label, "label"),
            weight=None if weight is None else to_struct(weight, Weight, "weight"),
            features={name: _feature(name, features[name]) for name in features},
            learners={
                name: _learner(name, raw_learner, features)
                for name, raw_learner in _named(table["learners"], "learners").items()
            },
            limits=to_struct(table.get("limits", {}), Limits, "limits"),
        )
        check_spec(spec)
        return spec


ready(Spec)


def _check_size(size_bytes: int) -> None:
    if size_bytes > SPEC_BYTES_MAX:
        raise SpecError(f"expected at most {SPEC_BYTES_MAX} bytes, got {size_bytes}: shorten it")


def _named(raw: object, where: str) -> dict[str, Any]:
    table = as_table(raw, where)
    for name in table:
        check_name(f"{where}.{name}", name)
    return {name: table[name] for name in sorted(table)}


def _feature(name: str, raw: object) -> Feature:
    where = f"features.{name}"
    table = as_table(raw, where)
    if table.get("kind") in ("number", "category"):
        table = {"path": name, **table}
    feature: Feature = to_tagged(table, "kind", (Number, Category, Cross), where)
    return feature


def _learner(name: str, raw: object, features: Mapping[str, Any]) -> LearnerSpec:
    where = f"learners.{name}"
    table = as_table(raw, where)
    if table.get("type") == "ftrl":
        table = {"features": list(features), **table}
    if table.get("type") == "sklearn":
        table = _with_estimator(table, features, where)
    kinds: tuple[type[Struct], ...] = (FtrlSpec, CountsSpec, SklearnSpec)
    named = table.get("type")
    ours = [str(kind.__struct_config__.tag) for kind in kinds]
    if isinstance(named, str) and named not in ours and named in plugin_types():
        kinds += (load_plugin(named, f"{where}.type"),)
    learner: LearnerSpec = to_tagged(table, "type", kinds, where)
    if isinstance(learner, FtrlSpec | SklearnSpec):
        learner = msgspec.structs.replace(learner, features=tuple(sorted(learner.features)))
    return learner


def _with_estimator(
    table: Mapping[str, Any], features: Mapping[str, Any], where: str
) -> Mapping[str, Any]:
    """Check the estimator, and write out what depends on it: features and merge rule."""
    if "estimator" not in table:
        fail_missing(f"{where}.estimator", 'a table like {name = "SGDRegressor"}')
    estimator = to_estimator(table["estimator"], f"{where}.estimator")
    counting = isinstance(estimator, NaiveBayes)
    rule = table.get("merge", "sum" if counting else "mean")
    if counting and rule == "mean":
        fail(f"{where}.merge", "'sum'", rule, hint=": counts of naive Bayes add up exactly")
    if not counting and rule in ("sum", "matched"):
        reason = "the state of a linear estimator says too little to take more than the mean"
        fail(f"{where}.merge", "'mean'", rule, hint=f": {reason}")
    usable = [
        name
        for name, raw in features.items()
        if not counting or not isinstance(raw, dict) or raw.get("kind") != "number"
    ]
    return {"features": usable, "merge": rule, **table} | {
        "estimator": msgspec.to_builtins(estimator)
    }
