"""A reader that follows a store's head.

Two sets of tables take turns: one serves while the other takes up new versions, then they swap by
one assignment. A set is changed again only once nobody holds the model that it served as; if
somebody still does, the next version gets a copy. So a prediction never mixes two versions, and
following costs what the versions touched.
"""

import logging
import os
import threading
import time
import weakref
from collections.abc import Callable
from types import TracebackType
from typing import Final, Self

from strandline.errors import (
    FileMissing,
    HistoryGone,
    ModelStale,
    StoreDamaged,
    StoreUnavailable,
    WrongUsage,
)
from strandline.events.json_records import Events
from strandline.features import Batch
from strandline.kernels.compiling import compiling
from strandline.learners.loading import make_learners, prepare_to_predict, schemas_of
from strandline.parameters.base import is_covered, parameters_at, read_changes
from strandline.parameters.delta import ModelChanges
from strandline.reading.model import EventDecoder, Model, Predictions
from strandline.reading.wanted import Positions, missing
from strandline.store import StoreLike, as_store
from strandline.store.base import Store
from strandline.store.chain import next_verified, read_spec, read_verified
from strandline.tables.table import Parameters, apply_changes

TAKE_UP_BYTES_MAX: Final = 64 << 20
"""Changes that one step takes up, and keeps for the other set of tables; one version at least."""

FORK_WAITS_S: Final = 10
"""A fork waits for a version that is being taken up, at most so long."""

AFTER_ERROR_MS: Final = 500
"""A version that could not be taken up is tried again after this time."""

_log = logging.getLogger(__name__)


class Follower:
    """The newest model at hand, one step at a time. Used by one thread.

    `at_head`: the last step found no later version than its last one.
    """

    def __init__(self, store: Store) -> None:
        self._store = store
        spec = read_spec(store)
        self._learners = make_learners(spec)
        self._schemas = schemas_of(self._learners)
        self.decoder = EventDecoder(spec)
        with compiling("predicting"):
            self.has_kernel = self.decoder.prepare()
            prepare_to_predict(self._learners, following=True)
            self._open_head()

    def step(self) -> bool:
        """Take up the versions at hand; whether there was one. An error changes nothing.

        A follower that is far behind takes several steps, so that its memory is bounded. Where
        compaction has removed what lies between, head is opened anew.
        """
        try:
            return self._take_up()
        except (FileMissing, HistoryGone):
            if not is_covered(self._store, self.model.version):
                raise
        self._open_head(self.model.version)
        return True

    def _open_head(self, at_least: int = 0) -> None:
        self._at = read_verified(self._store, self._store.head(at_least))
        head = self._at.manifest
        self._serving = parameters_at(self._store, self._learners, head.version)
        self.model = Model(head, self.decoder, self._serving)
        self.at_head = True
        self._spare: Parameters | None = None
        self._spare_model: weakref.ref[Model] | None = None
        self._missed: list[ModelChanges] = []

    def _take_up(self) -> bool:
        at, size_bytes = self._at, 0
        files: list[ModelChanges] = []
        while size_bytes < TAKE_UP_BYTES_MAX:
            following = next_verified(self._store, at)
            if following is None:
                break
            found = read_changes(self._store, following.manifest, self._schemas)
            size_bytes += sum(change.nbytes for changes in found for change in changes.values())
            files += found
            at = following
        self.at_head = size_bytes < TAKE_UP_BYTES_MAX
        if at is self._at:
            return False
        tables = self._tables_to_change()
        apply_changes(tables, files)
        self._spare, self._spare_model = self._serving, weakref.ref(self.model)
        self._missed = files
        self._serving, self._at = tables, at
        self.model = Model(at.manifest, self.decoder, tables)
        return True

    def _tables_to_change(self) -> Parameters:
        """Return tables at the served version that no model is bound to."""
        free = self._spare_model is not None and self._spare_model() is None
        if self._spare is not None and free:
            apply_changes(self._spare, self._missed)
            return self._spare
        return {name: table.copy() for name, table in self._serving.items()}


class Reader:
    """Serves the newest version at hand, and never an older one than before.

    Any number of threads may ask it at once; a thread of its own follows the store. In a process
    forked from this one (a preloading server, multiprocessing) it follows on by itself.

    Parameters
    ----------
    store
        Where versions are read from: a store, or its path or URL. A reader writes nothing.
    poll_ms
        How often the store is asked for the next version.

    Examples
    --------
    >>> from strandline.spec import Spec
    >>> from strandline.store import create_store
    >>> spec = Spec.parse('''
    ... name = "tiny"
    ... label.path = "click"
    ... features.item.kind = "category"
    ... learners.ctr.type = "ftrl"
    ... ''')
    >>> with Reader(create_store("memory:", spec)) as reader:
    ...     reader.predict([{"item": "hat"}])  # the newest at hand
    ...     reader.wait(0, timeout_s=5).version  # at least this version
    Predictions(version=0, scores=array([0.5], dtype=float32))
    0
    """

    def __init__(self, store: StoreLike, poll_ms: int = 5) -> None:
        self._store = as_store(store)
        self._poll_s = poll_ms / 1000
        self._model: Model | None = None
        self._at_head_s = 0.0
        self._error: Exception | None = None
        self._changed = threading.Condition()
        self._stop = threading.Event()
        self._step = threading.Lock()
        self._is_between_steps = True
        self._follower: Follower | None = None
        self._thread: threading.Thread | None = None
        self._compiler: threading.Thread | None = None

    def follow(self) -> Self:
        """Open head's model, then keep it at head in a thread of its own until `close`.

        Where the kernels' machine code is not kept yet, what few predictions need is compiled here,
        in seconds, and the decoder's kernel in a thread, which the process waits for at its end.

        A reader follows once; a second call raises `WrongUsage`.
        """
        if self._follower is not None:
            raise WrongUsage("the reader has followed already: make another one of the store")
        self._follower = Follower(self._store)
        self._model, self._at_head_s = self._follower.model, time.monotonic()
        if not self._follower.has_kernel:  # no daemon: a compiler is not cut off at the end
            self._compiler = threading.Thread(
                target=self._follower.decoder.compile, name="strandline-compiler"
            )
            self._compiler.start()
        self._begin(self._follower)
        _READERS.add(self)
        return self

    def _begin(self, follower: Follower) -> None:
        self._thread = threading.Thread(
            target=self._run, args=(follower,), name="strandline-reader", daemon=True
        )
        self._thread.start()

    def _before_fork(self) -> None:
        """Let the threads come to where a copy of the process can go on from."""
        if self._compiler is not None:
            self._compiler.join()
        self._is_between_steps = self._step.acquire(timeout=FORK_WAITS_S)

    def _after_fork(self) -> None:
        if self._is_between_steps:
            self._step.release()

    def _in_child(self) -> None:
        """Follow on in a forked process, which has the parent's memory and none of its threads."""
        was_closed = self._stop.is_set()
        self._changed, self._stop = threading.Condition(), threading.Event()
        self._step = threading.Lock()
        self._thread = None
        if was_closed:
            self._stop.set()
        elif not self._is_between_steps:
            self._error = StoreUnavailable(
                f"the process was forked while {self._store.url} did not answer: the reader of the"
                " child does not follow; make another one"
            )
        elif self._follower is not None:
            _log.info("process %d is a fork: its reader follows on by itself", os.getpid())
            self._begin(self._follower)

    def close(self) -> None:
        """Stop following. The model stays."""
        self._stop.set()
        if self._thread is not None:
            self._thread.join()

    def __enter__(self) -> Self:
        return self.follow()

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self.close()

    @property
    def model(self) -> Model:
        """The newest model at hand: hold it to ask one version several times."""
        if self._model is None:
            raise WrongUsage("the reader is not open: call follow(), or use it in `with`")
        return self._model

    @property
    def error(self) -> Exception | None:
        """Why the next version cannot be taken up, None while it can. The model goes on serving.

        It is tried again twice a second, so a repaired file or a store that answers again ends it.
        """
        return self._error

    @property
    def staleness_s(self) -> float:
        """How long ago the model was certainly the store's newest, in seconds."""
        return time.monotonic() - self._at_head_s

    def predict(
        self,
        events: Events | Batch,
        learner: str | None = None,
        *,
        max_staleness_s: float | None = None,
    ) -> Predictions:
        """Predict with the newest model at hand, see `Model.predict`.

        Raises
        ------
        ModelStale
            If the model was the store's newest longer than `max_staleness_s` ago: the store does
            not answer, or a version cannot be taken up.
        """
        if max_staleness_s is not None and self.staleness_s > max_staleness_s:
            raise ModelStale(
                f"version {self.model.version} was the newest of {self._store.url}"
                f" {self.staleness_s:.3f} s ago, expected at most {max_staleness_s:g} s; last"
                f" error: {self._error}"
            )
        return self.model.predict(events, learner)

    def wait(
        self, version: int = 0, timeout_s: float = 60.0, *, at_least: Positions | None = None
    ) -> Model:
        """Return a model of this version or a newer one, which has reached these positions.

        Parameters
        ----------
        version
            The least version.
        timeout_s
            How long to wait.
        at_least
            Positions by stream and partition, see `open_model`.

        Raises
        ------
        StoreDamaged
            If a version before it, or itself, is damaged.
        TimeoutError
            If it is not there in time; the message names the error that was met, if any.
        """
        deadline = time.monotonic() + timeout_s
        with self._changed:
            while self.model.version < version or missing(self.model.positions, at_least or {}):
                if isinstance(self._error, StoreDamaged):
                    raise self._error
                left = deadline - time.monotonic()
                if left <= 0:
                    raise TimeoutError(
                        f"version {version}{_reaching(at_least)} is not there after {timeout_s} s:"
                        f" serving version {self.model.version}, last error: {self._error}"
                    ) from self._error
                self._changed.wait(left)
            return self.model

    def _run(self, follower: Follower) -> None:
        pause_s = 0.0
        while not self._stop.wait(pause_s):
            try:
                with self._step:
                    begun_s = time.monotonic()
                    follower.step()
                if follower.at_head:
                    self._at_head_s = begun_s
                error: Exception | None = None
            except Exception as met:  # noqa: BLE001  a reader serves on, and reports what it met
                error = met
            with self._changed:
                self._error = error
                self._model = follower.model
                self._changed.notify_all()
            pause_s = self._poll_s if error is None else max(self._poll_s, AFTER_ERROR_MS / 1000)


def _reaching(at_least: Positions | None) -> str:
    return f" with positions {at_least}" if at_least else ""


_READERS: Final[weakref.WeakSet[Reader]] = weakref.WeakSet()
"""Those that follow, which a fork has to know of."""


def _each(call: Callable[[Reader], None]) -> Callable[[], None]:
    def call_each() -> None:
        for reader in tuple(_READERS):
            call(reader)

    return call_each


os.register_at_fork(
    before=_each(Reader._before_fork),
    after_in_parent=_each(Reader._after_fork),
    after_in_child=_each(Reader._in_child),
)
