"""The run without Flink: worker, merger and commit in one process, over an iterable of events."""

from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from itertools import chain, islice
from typing import Self

from strandline.clock import wall_clock_ms
from strandline.commit.opening import check_same_source
from strandline.errors import SourceBehind, WrongUsage
from strandline.events.json_records import Event, EventEncoder, Events
from strandline.manifest import Prequential
from strandline.metrics.totals import Totals, add_totals, totals_of
from strandline.store import Store, StoreLike, as_store
from strandline.store.chain import read_manifest, read_spec
from strandline.transactions.transaction import PARTITION, Stream, open_stream


@dataclass(frozen=True, slots=True)
class Summary:
    """What a run has done so far.

    Attributes
    ----------
    stream
        The stream's name.
    version
        The stream's newest version.
    skipped
        Events that were committed before the run began.
    epochs
        Versions that the run has committed.
    events, learned, refused, rejected
        Events that the run has read, each of them one of the other three.
    reasons
        Rejected events by reason.
    prequential
        Sums over predictions made before learning, by learner.
    """

    stream: str
    version: int
    skipped: int
    epochs: int
    events: int
    learned: int
    refused: int
    rejected: int
    reasons: Mapping[str, int]
    prequential: Mapping[str, Prequential]

    @classmethod
    def of(cls, stream: str, version: int, skipped: int, totals: Totals) -> Self:
        """Return the summary of a run whose versions have these totals."""
        return cls(
            stream=stream,
            version=version,
            skipped=skipped,
            epochs=totals.versions,
            events=totals.events,
            learned=totals.learned,
            refused=totals.refused,
            rejected=totals.rejected,
            reasons=totals.reasons,
            prequential=totals.prequential,
        )


def learn(
    store: StoreLike,
    events: Events,
    stream: str,
    source: Mapping[str, str],
    *,
    epoch_events: int = 10_000,
    progress: Callable[[Summary], None] | None = None,
    takeover: bool = False,
    clock_ms: Callable[[], int] = wall_clock_ms,
) -> Summary:
    """Learn events in epochs of `epoch_events`, each committed as one version.

    A position is an event's number. Events that the store has already are skipped, so the same
    call again goes on where the last one ended, however it ended: when it is interrupted, the
    epoch under way is rolled back and what was committed stays. If the store has all of them, no
    version is made, not even an open.

    Parameters
    ----------
    store
        The store to commit to, or its path or URL.
    events
        The stream from its first event on, with labels: any iterable of events, or what else
        `Model.decode` takes.
    stream
        The stream's name.
    source
        What the events come from, as the versions will name it, such as `{"file": "may.ndjson"}`;
        the same at every call.
    epoch_events
        Events per version, at least 1.
    progress
        Called with the summary so far after every commit.
    takeover, clock_ms
        See `open_stream`, whose errors are raised as well.

    Returns
    -------
    Summary
        Of this call: what it skipped, and what it committed.

    Raises
    ------
    WrongUsage
        If `epoch_events` is below 1.
    SourceBehind
        If there are fewer events than the store has committed.
    SourceRecreated
        If the stream began with another source.
    TooManyRejected
        If more events are rejected than the spec allows.
    """
    if epoch_events < 1:
        raise WrongUsage(f"epoch_events is {epoch_events}, expected 1 or more")
    store = as_store(store)
    left: Iterator[Event | None] = EventEncoder(read_spec(store)).each(events)
    known = check_same_source(store, stream, source)
    at = 0 if known is None else known.positions[str(PARTITION)]
    _skip(left, stream, at, at)
    first = list(islice(left, 1))
    if known is not None and not first:
        return Summary.of(stream, known.version, at, Totals())
    run = open_stream(store, stream, source, takeover=takeover, clock_ms=clock_ms)
    left = chain(first, left)
    _skip(left, stream, run.position - at, run.position)  # committed by another run meanwhile
    return _learn(run, store, left, epoch_events, progress)


def _learn(
    run: Stream,
    store: Store,
    left: Iterator[Event | None],
    epoch_events: int,
    progress: Callable[[Summary], None] | None,
) -> Summary:
    skipped, totals = run.position, Totals()
    while epoch := list(islice(left, epoch_events)):
        with run.begin() as transaction:
            transaction.learn(epoch)
        totals = add_totals((totals, totals_of(read_manifest(store, run.version).body)))
        if progress is not None:
            progress(Summary.of(run.name, run.version, skipped, totals))
    return Summary.of(run.name, run.version, skipped, totals)


def _skip(events: Iterator[Event | None], stream: str, count: int, position: int) -> None:
    """Pass over so many events, which end at the stream's position."""
    skipped = sum(1 for _ in islice(events, count))
    if skipped < count:
        raise SourceBehind(
            f"stream {stream}: the store has committed {position} events, the source has only"
            f" {position - count + skipped}; give the source that it was learned from, or another"
            " stream's name"
        )
