"""Where two specs differ, in words for the person who wrote one of them."""

from collections.abc import Mapping
from typing import Any

import msgspec

from strandline.spec.spec import Spec

_SHOWN = 3


def describe_difference(held: Spec, given: Spec) -> str:
    """Return the settings in which two specs differ, the first few of them.

    Examples
    --------
    >>> text = '''
    ... name = "tiny"
    ... label.path = "click"
    ... features.item.kind = "category"
    ... learners.ctr = {type = "ftrl", bits = 10}
    ... '''
    >>> describe_difference(Spec.parse(text), Spec.parse(text.replace("10", "12")))
    'learners.ctr.bits is 10 there and 12 here'
    """
    there, here = _settings(msgspec.to_builtins(held)), _settings(msgspec.to_builtins(given))
    changed = sorted(
        place for place in there.keys() | here.keys() if there.get(place) != here.get(place)
    )
    shown = [
        f"{place} is {there.get(place, 'absent')} there and {here.get(place, 'absent')} here"
        for place in changed[:_SHOWN]
    ]
    more = [f"{len(changed) - _SHOWN} more differ"] if len(changed) > _SHOWN else []
    return "; ".join([*shown, *more])


def _settings(raw: Mapping[str, Any], where: str = "") -> dict[str, str]:
    """Return every value by its dotted place, as text."""
    found: dict[str, str] = {}
    for key, value in raw.items():
        if isinstance(value, dict):
            found |= _settings(value, f"{where}{key}.")
        else:
            found[where + key] = f"{value!r:.60}"
    return found
