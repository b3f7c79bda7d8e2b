"""The compactor: writes a base every K versions, so that opening a model stays cheap."""

import threading
from typing import Final

from strandline.base import encode_base, parameters_at, read_changes, read_spec, schemas_of
from strandline.learners.loading import make_learners
from strandline.store.base import Store
from strandline.store.chain import manifest_bytes, read_manifest
from strandline.tables import apply_changes

POLL_S: Final = 1.0


class Compactor:
    """Writes the base of every version that is a multiple of `every`, as far as head is past it.

    Several compactors may work on one store: they write the same bytes. When it has fallen behind
    it writes only the newest one due.
    """

    def __init__(self, store: Store, every: int = 100) -> None:
        if every < 1:
            raise ValueError(f"every is {every}, expected a number of versions from 1 on")
        self._store, self._every = store, every
        self._learners = make_learners(read_spec(store))
        self._schemas = schemas_of(self._learners)
        self._version: int | None = None

    def run_once(self) -> int | None:
        """Write the newest base that is due; return its version, None if none is due."""
        due = self._store.head(self._version or 0) // self._every * self._every
        if due == 0 or due in self._store.bases():
            return None
        if self._version is None or self._version > due:
            self._parameters = parameters_at(self._store, self._learners, due)
        else:
            for version in range(self._version + 1, due + 1):
                manifest = read_manifest(self._store, version)
                apply_changes(self._parameters, read_changes(self._store, manifest, self._schemas))
        self._version = due
        data = encode_base(due, manifest_bytes(self._store, due), self._parameters)
        self._store.put_base(due, data)
        return due

    def follow(self, stop: threading.Event) -> None:
        """Write bases as they come due until `stop` is set. Errors of the store are raised."""
        while not stop.is_set():
            self.run_once()
            stop.wait(POLL_S)
