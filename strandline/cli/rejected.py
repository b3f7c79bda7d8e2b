"""Rejected events as a version's rejects file keeps them."""

from typing import Any

import msgspec

from strandline.errors import FileMissing, StoreDamaged, VersionGone
from strandline.learning.rejects import read_rejects
from strandline.manifest import FileRef
from strandline.parameters.base import is_covered
from strandline.store import Store


def rejected_events(store: Store, version: int | None, file: FileRef | str) -> list[dict[str, Any]]:
    """Return the rejected events of a file as JSON values, each with its version.

    The version is None for a file that no version names, as a run leaves it that ends because of
    its rejected events.

    `bytes` stays base64, as in the file. Raises `VersionGone` if compaction removed them, and
    `StoreDamaged` if a line is not what it must be.
    """
    try:
        events = read_rejects(store.read("rejects", file))
    except FileMissing as error:
        if version is None or not is_covered(store, version - 1):
            raise
        raise VersionGone(
            f"{store.url}: the rejected events of version {version} were removed by compaction,"
            " like the rest of its data; `strandline compact --keep-versions` says how many"
            " versions keep theirs"
        ) from error
    except msgspec.MsgspecError as error:
        raise StoreDamaged(f"{store.url}: the rejects of version {version}: {error}") from error
    return [{"version": version, **msgspec.to_builtins(event)} for event in events]
