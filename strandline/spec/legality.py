"""What the types of a spec's parts cannot say: names, paths and references between parts."""

import re
from collections.abc import Iterable
from typing import TYPE_CHECKING

from strandline.limits import FEATURES_MAX, LEARNERS_MAX, NAME_PATTERN
from strandline.spec.convert import check_word, fail
from strandline.spec.estimators import NaiveBayes
from strandline.spec.features import Category, Cross, Feature, Number
from strandline.spec.learners import CountsSpec, FtrlSpec, SklearnSpec
from strandline.spec.plugins import PluginSpec

if TYPE_CHECKING:
    from strandline.spec.spec import Spec

_NAME = re.compile(NAME_PATTERN)


def check_name(where: str, name: object) -> None:
    """Refuse a name that could not be a file's, a table's or a metric's."""
    if not isinstance(name, str) or _NAME.fullmatch(name) is None:
        fail(where, f"a name like {NAME_PATTERN}", name)


def check_spec(spec: "Spec") -> None:
    """Refuse a spec whose parts do not fit together.

    Raises
    ------
    SpecError
        With the place, what was expected there and what stands there.
    """
    _check_counts(spec)
    for name, feature in spec.features.items():
        _check_feature(spec, f"features.{name}", feature)
    for name, learner in spec.learners.items():
        where = f"learners.{name}"
        match learner:
            case FtrlSpec():
                _check_references(f"{where}.features", learner.features, spec.features, "a feature")
            case SklearnSpec():
                _check_references(
                    f"{where}.features",
                    learner.features,
                    _usable(spec, learner),
                    "a feature it takes",
                )
            case CountsSpec():
                check_word(f"{where}.feature", learner.feature, categories(spec), "a category")
            case PluginSpec():
                learner.check(where, spec)
    _check_paths(spec)


def _check_counts(spec: "Spec") -> None:
    if not 1 <= len(spec.features) <= FEATURES_MAX:
        fail("features", f"1 to {FEATURES_MAX} features", len(spec.features))
    if not 1 <= len(spec.learners) <= LEARNERS_MAX:
        fail("learners", f"1 to {LEARNERS_MAX} learners", len(spec.learners))


def categories(spec: "Spec") -> list[str]:
    """Return the names of the spec's categories."""
    return [name for name, feature in spec.features.items() if isinstance(feature, Category)]


def _usable(spec: "Spec", learner: SklearnSpec) -> list[str]:
    """Naive Bayes counts values; a number's value is no count."""
    counting = isinstance(learner.estimator, NaiveBayes)
    return [name for name, f in spec.features.items() if not (counting and isinstance(f, Number))]


def _check_references(where: str, names: tuple[str, ...], known: Iterable[str], noun: str) -> None:
    for index, name in enumerate(names):
        check_word(f"{where}[{index}]", name, known, noun)
        if name in names[:index]:
            fail(f"{where}[{index}]", "each name once", name)


def _check_feature(spec: "Spec", where: str, feature: Feature) -> None:
    match feature:
        case Cross():
            _check_references(f"{where}.of", feature.of, categories(spec), "a category")
        case Number():
            if feature.scale == 0:
                fail(f"{where}.scale", "a number other than 0", feature.scale)
            if feature.clip is not None and feature.clip[0] >= feature.clip[1]:
                fail(f"{where}.clip", "[low, high] with low < high", list(feature.clip))
        case Category():
            pass


def _check_paths(spec: "Spec") -> None:
    """Every path leads to one value of one role; no path leads through another's value."""
    roles: dict[tuple[str, ...], tuple[str, str]] = {}
    for where, path, role in spec.paths():
        segments = tuple(path.split("."))
        if not all(segments) or any(not char.isprintable() for char in path):
            fail(where, "keys joined by single dots, printable characters only", path)
        if len(segments) > spec.limits.depth:
            fail(where, f"at most limits.depth = {spec.limits.depth} keys", path)
        other_where, other_role = roles.setdefault(segments, (where, role))
        if other_role != role:
            fail(where, f"a path that {other_where} does not read as its {other_role}", path)
    for segments, (where, _) in roles.items():
        for length in range(1, len(segments)):
            if segments[:length] in roles:
                parent, _ = roles[segments[:length]]
                fail(where, f"a path that does not lead through the value of {parent}",
                     ".".join(segments))  # fmt: skip
