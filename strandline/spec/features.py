"""The kinds of features a spec can name, with the legality of each setting as its type."""

from typing import Annotated, Final, Literal

from msgspec import Meta, Struct

FLOAT_MAX: Final = 3.4e38  # just inside float32; the bound also shuts out infinity and NaN
CROSS_PARTS_MAX: Final = 8

Path = Annotated[str, Meta(min_length=1, max_length=256)]
Finite = Annotated[float, Meta(ge=-FLOAT_MAX, le=FLOAT_MAX)]


class Number(Struct, frozen=True, kw_only=True, forbid_unknown_fields=True,
             tag_field="kind", tag="number"):  # fmt: skip
    """A number of the event as one entry: ``(transform(x) - offset) * scale``, then clipped.

    `path` is the dotted path in the event (default: the feature's name). `log1p` and `sqrt` are
    odd: ``sign(x) * f(|x|)``. Absent or null gives no entry, or a rejection when `required`.
    """

    path: Path
    transform: Literal["none", "log1p", "sqrt"] = "none"
    offset: Finite = 0.0
    scale: Finite = 1.0
    clip: tuple[Finite, Finite] | None = None
    required: bool = False


class Category(Struct, frozen=True, kw_only=True, forbid_unknown_fields=True,
               tag_field="kind", tag="category"):  # fmt: skip
    """A string, an integer or a bool, or an array of those: one entry of value 1 per value.

    Absent, null or an empty array gives no entry, or a rejection when `required`.
    """

    path: Path
    required: bool = False


class Cross(Struct, frozen=True, kw_only=True, forbid_unknown_fields=True,
            tag_field="kind", tag="cross"):  # fmt: skip
    """The product of categories: one entry of value 1 per combination of their values."""

    of: Annotated[tuple[str, ...], Meta(min_length=2, max_length=CROSS_PARTS_MAX)]


Feature = Number | Category | Cross
