"""The values that manifests consist of: what each may be, and the form of a group of them."""

from typing import Annotated, Final

from msgspec import Meta, Struct

from strandline.limits import NAME_PATTERN, VERSION_MAX

INT64_MAX: Final = (1 << 63) - 1

# `$` also matches before a final newline; `\Z` does not.
Name = Annotated[str, Meta(pattern=NAME_PATTERN.removesuffix("$") + r"\Z")]
Sha256 = Annotated[str, Meta(pattern=r"^[0-9a-f]{64}\Z")]
Uuid = Annotated[str, Meta(pattern=r"^[0-9a-f]{32}\Z")]
Index = Annotated[str, Meta(pattern=r"^(0|[1-9][0-9]{0,9})\Z")]
Text = Annotated[str, Meta(max_length=4096)]
Count = Annotated[int, Meta(ge=0, le=INT64_MAX)]
Version = Annotated[int, Meta(ge=0, le=VERSION_MAX)]

Positions = dict[Index, Count]
"""Partition, in decimal digits -> offset of the next event to read."""


class ManifestPart(Struct, frozen=True, forbid_unknown_fields=True, kw_only=True):
    """A part of a manifest: immutable, every key known and present."""


class FileRef(Struct, frozen=True, forbid_unknown_fields=True):
    """A content-addressed file of the store: its SHA-256 and its length."""

    sha256: Sha256
    bytes: Count
