"""Where the history of a store begins, once old versions were dropped.

::

    history/0000119999.json    {"digest":"…","format":1,"manifest":{…},"totals":{…},"version":…}

The record stands for all versions up to its own: it has the manifest of the newest of them, so that
the next one is checked against its parent as ever, and what all of them together learned, by
stream. It is created exclusively and never changed; the newest one counts.
"""

import json
import re
from collections.abc import Mapping
from pathlib import Path
from typing import Annotated, Any, Final, Literal

import msgspec
from msgspec import Meta, Struct

from strandline.encoding.canonical import canonical_json, sha256_hex
from strandline.encoding.structs import ready
from strandline.errors import FileMissing, HistoryGone, StoreDamaged
from strandline.limits import MANIFEST_BYTES_MAX, VERSION_MAX
from strandline.manifest import parse_manifest
from strandline.store.files import opened, read_up_to
from strandline.store.folders import matching

FORMAT: Final = 1
RECORD_BYTES_MAX: Final = 2 * MANIFEST_BYTES_MAX

_NAME: Final = re.compile(r"([0-9]{10})\.json")


class Record(Struct, frozen=True, forbid_unknown_fields=True):
    """What is kept of the versions up to `version`."""

    digest: str
    format: Literal[1]
    manifest: msgspec.Raw
    totals: dict[str, Any]
    version: Annotated[int, Meta(ge=1, le=VERSION_MAX)]


ready(Record)


def render_record(manifest: bytes, totals: Mapping[str, Any]) -> bytes:
    """Return the record of all versions up to that of a manifest.

    Parameters
    ----------
    manifest : bytes
        Of the newest of them.
    totals : mapping
        What they learned, of JSON values, by stream.
    """
    fields = {
        "format": FORMAT,
        "manifest": json.loads(manifest),
        "totals": totals,
        "version": parse_manifest(manifest).version,
    }
    return canonical_json({**fields, "digest": sha256_hex(canonical_json(fields))})


def parse_record(data: bytes, version: int) -> Record:
    """Return the record that the bytes hold; raise StoreDamaged unless it is this version's."""
    try:
        record = msgspec.json.decode(data, type=Record)
        fields = json.loads(data)
        if canonical_json(fields) != data:
            raise ValueError("not canonical JSON")
        del fields["digest"]
        if sha256_hex(canonical_json(fields)) != record.digest:
            raise ValueError("altered: its digest is another one")
        if record.version != version or parse_manifest(bytes(record.manifest)).version != version:
            raise ValueError(f"it is of version {record.version}, expected {version}")
    except (msgspec.MsgspecError, ValueError, RecursionError, StoreDamaged) as error:
        raise StoreDamaged(
            f"history/{version:010}.json, which tells what was dropped, is damaged: {error};"
            " restore it from a copy"
        ) from error
    return record


def dropped(url: str, version: int, begin: int) -> HistoryGone:
    """Return the error of a version that was dropped."""
    return HistoryGone(
        f"{url}: version {version} was dropped: history begins at version {begin}. `strandline log"
        f" {url}` lists what is kept; `strandline compact --keep-history` says how much that is"
    )


class Histories:
    """The records in a folder. Raises OSError for what the system refuses."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder

    def begin(self) -> int:
        """Return the version at which history begins, 0 if nothing was dropped."""
        return max(self.versions(), default=0)

    def versions(self) -> list[int]:
        """Return the versions that have a record."""
        return sorted(map(int, matching(self.folder, _NAME)))

    def path(self, version: int) -> Path:
        """Return where the record of a version stands."""
        return self.folder / f"{version:010}.json"

    def read(self, version: int) -> bytes:
        """Return a record's bytes."""
        path = self.path(version)
        try:
            with opened(path) as descriptor:
                return read_up_to(descriptor, RECORD_BYTES_MAX)
        except FileNotFoundError:
            raise FileMissing(f"{path} is missing; restore the file from a copy") from None
