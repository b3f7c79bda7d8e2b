"""How much history a store keeps: what is older is dropped, and a record stands for it.

History goes a folder of versions at a time, from its beginning, and never beyond the base that the
oldest version that opens stands on.
"""

from collections.abc import Mapping

import msgspec
from msgspec import Struct

from strandline import limits
from strandline.errors import HistoryGone, WrongUsage
from strandline.metrics.totals import Totals, add_totals, totals_of
from strandline.store.base import Store
from strandline.store.chain import following, manifest_bytes, read_manifest, read_verified
from strandline.store.history import parse_record, render_record


class KeptHistory(Struct, frozen=True):
    """How much is kept: so many versions, those so young, or both; None does not count.

    Raises
    ------
    WrongUsage
        If a number is negative.
    """

    versions: int | None = None
    age_ms: int | None = None

    def __post_init__(self) -> None:
        if min(self.versions or 0, self.age_ms or 0) < 0:
            raise WrongUsage(
                f"kept history: got {self.versions} versions and {self.age_ms} ms, expected 0 or"
                " more, or None for all"
            )

    @property
    def all(self) -> bool:
        """Whether nothing is dropped."""
        return self.versions is None and self.age_ms is None


def drop_history(store: Store, kept: KeptHistory, oldest: int, now_ms: int) -> int:
    """Drop what is older than kept and before `oldest`, which has a base; return how many versions.

    Raises
    ------
    StoreDamaged
        If what would be dropped does not follow from its beginning: nothing more is dropped.
    """
    first = begin = store.history_begins()
    record = store.history_record()
    if record is not None and begin == store.history_begins():
        store.drop_history(begin, record)  # whoever kept it may have died before it dropped
    while not kept.all:
        last = last_of_next_folder(begin)
        if not _is_due(store, kept, last, oldest, now_ms):
            break
        try:
            record = _record(store, begin, last)
        except HistoryGone:  # another compactor was faster
            begin = store.history_begins()
            continue
        if not store.drop_history(last, record):
            break  # not packed: it stays
        begin = last
    return begin - first


def last_of_next_folder(begin: int) -> int:
    """Return where history can begin next: at the last version of a folder.

    >>> last_of_next_folder(0), last_of_next_folder(999), last_of_next_folder(1000)
    (999, 1999, 1999)
    """
    size = limits.VERSIONS_PER_FOLDER
    return ((begin + 1) // size + 1) * size - 1


def dropped_totals(store: Store) -> Mapping[str, Totals]:
    """Return by stream what the versions up to the one where history begins add up to."""
    begin, record = store.history_begins(), store.history_record()
    if record is None:
        return {}
    return msgspec.convert(parse_record(record, begin).totals, dict[str, Totals])


def _is_due(store: Store, kept: KeptHistory, last: int, oldest: int, now_ms: int) -> bool:
    newest = min(oldest, store.head() - (kept.versions or 0))
    if last > newest:
        return False
    return kept.age_ms is None or read_manifest(store, last).time_ms < now_ms - kept.age_ms


def _record(store: Store, begin: int, last: int) -> bytes:
    """Return the record of all versions up to the last one, checked from the beginning on."""
    totals = dict(dropped_totals(store))
    for version in following(store, read_verified(store, begin), last):
        manifest = version.manifest
        stream = manifest.stream
        assert stream is not None, "only genesis belongs to none"
        totals[stream] = add_totals((totals.get(stream, Totals()), totals_of(manifest.body)))
    return render_record(manifest_bytes(store, last), msgspec.to_builtins(totals))
