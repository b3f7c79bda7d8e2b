"""Rejected events as a version's rejects file keeps them."""

from typing import Any

import msgspec

from strandline.errors import FileMissing, StoreDamaged, VersionGone
from strandline.manifest import FileRef
from strandline.store import Store
from strandline.structs import ready


class RejectedEvent(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """One line of a rejects file; `bytes` are the first 4 KiB of the record."""

    bytes: bytes
    detail: str
    length: int
    offset: int
    partition: int
    reason: str
    sha256: str


ready(RejectedEvent)


def rejected_events(store: Store, version: int, file: FileRef) -> list[dict[str, Any]]:
    """Return a version's rejected events as JSON values, each with its version.

    `bytes` stays base64, as in the file. Raises `VersionGone` if compaction removed them, and
    `StoreDamaged` if a line is not what it must be.
    """
    try:
        events = [
            msgspec.json.decode(line, type=RejectedEvent)
            for line in store.read("rejects", file).splitlines()
        ]
    except FileMissing as error:
        if max(store.bases(), default=0) < version:
            raise
        raise VersionGone(
            f"{store.url}: the rejected events of version {version} were removed by compaction,"
            " like the rest of its data; `strandline compact --keep-versions` says how many"
            " versions keep theirs"
        ) from error
    except msgspec.MsgspecError as error:
        raise StoreDamaged(f"{store.url}: the rejects of version {version}: {error}") from error
    return [{"version": version, **msgspec.to_builtins(event)} for event in events]
