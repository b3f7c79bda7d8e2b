"""Types of learners that other packages bring: entry points of the group `strandline.learners`.

The entry point's name is the `type` that a spec says, its object a subclass of `PluginSpec`. Only
the types that a spec names are loaded.
"""

import threading
from importlib.metadata import EntryPoint, entry_points
from typing import TYPE_CHECKING, Final

from msgspec import Struct

from strandline.encoding.structs import ready
from strandline.errors import SpecError

if TYPE_CHECKING:
    from strandline.learners.base import Learner
    from strandline.spec.spec import Spec

GROUP: Final = "strandline.learners"

_LOCK: Final = threading.Lock()


class PluginSpec(Struct, frozen=True, kw_only=True, forbid_unknown_fields=True, tag_field="type"):
    """Base of the settings of a learner that another package brings.

    A subclass has its settings as fields, with every default, and `tag`, the type's name::

        class EmaSpec(PluginSpec, frozen=True, kw_only=True, tag="ema"):
            feature: str
            share: Annotated[float, Meta(gt=0, le=1)] = 0.01

    What it makes must pass the project's conformance suite, tests/conformance/learners.py.
    """

    @property
    def binary(self) -> bool:
        """Whether the learner takes labels 0 and 1 only."""
        return False

    def check(self, where: str, spec: "Spec") -> None:
        """Raise `SpecError` if the settings do not fit the rest of the spec."""

    def make(self, name: str, spec: "Spec") -> "Learner":
        """Return the learner, bound to nothing."""
        raise NotImplementedError


def plugin_types() -> set[str]:
    """Return the types that installed packages bring."""
    return set(entry_points(group=GROUP).names)


def load_plugin(name: str, where: str) -> type[PluginSpec]:
    """Load the settings of a type that one of `plugin_types` names.

    Raises
    ------
    SpecError
        If two packages bring it, or what they bring cannot be loaded or is no `PluginSpec`.
    """
    found = list(entry_points(group=GROUP, name=name))
    if len(found) > 1:
        raise SpecError(
            f"{where}: expected one package with learner type {name!r}, got"
            f" {sorted(map(_package, found))}: uninstall all but one"
        )
    (entry,) = found
    try:
        kind: object = entry.load()
    except Exception as error:
        raise SpecError(
            f"{where}: learner type {name!r} of package {_package(entry)} cannot be loaded:"
            f" {error!r}; install a release of it that fits this one of strandline"
        ) from error
    ours = kind if isinstance(kind, type) and issubclass(kind, PluginSpec) else None
    if ours is not None and ours.__struct_config__.tag == name:
        with _LOCK:  # a second thread may load the type for the first time at once
            ready(ours)
        return ours
    raise SpecError(
        f"{where}: learner type {name!r} of package {_package(entry)}: expected a subclass of"
        f" PluginSpec with tag {name!r}, got {kind!r}"
    )


def _package(entry: EntryPoint) -> str:
    return entry.value if entry.dist is None else f"{entry.dist.name} {entry.dist.version}"
