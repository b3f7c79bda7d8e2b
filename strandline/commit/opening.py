"""Opens: versions without deltas that state where a run of a stream stands.

A fresh start begins a run and takes the stream over; a restore opens the same run again. An open
is found by its key, so an attempt repeated after a crash or a lost answer finds what it made.
"""

from collections.abc import Callable, Collection, Mapping
from dataclasses import dataclass
from functools import partial

import msgspec

from strandline.commit.committing import Create, ReadVersion, compare, superseded
from strandline.commit.open_list import OpenFound, is_contested, newest_open
from strandline.encoding.canonical import canonical_json, sha256_hex
from strandline.errors import (
    Gap,
    Rival,
    SecondStream,
    SourceRecreated,
    StoreDamaged,
    StreamContested,
    StreamUnfit,
    Superseded,
    TopicTaken,
)
from strandline.limits import NAME_PATTERN, OPENS_CONTESTED, OPENS_CONTESTED_WINDOW_MS
from strandline.manifest import (
    Manifest,
    OpenKey,
    StreamEntry,
    parse_manifest,
    render_manifest,
)
from strandline.store.base import Store
from strandline.store.chain import manifest_bytes, read_manifest, read_verified


@dataclass(frozen=True, slots=True)
class Opening:
    """What a start or a restore wants to state.

    Attributes
    ----------
    stream
        The stream's name.
    run
        The run that is to hold it: of a fresh start the submission, of a restore the restored one.
    key
        What the open is found by.
    positions
        The partitions of the source. On a fresh start those that the store knows go on where the
        store stands, and only the others start as given here; on a restore they are the restored
        state's and must equal the store's.
    source
        What the stream is read from.
    time_ms
        When it is made, in ms since 1970.
    takeover
        Start even if too many runs took the stream over in the last minute.
    topic_again
        Let a new stream read a topic that another one reads.
    one_stream
        Tables whose merge rule does not commute: with any of them the store takes no second stream.
    """

    stream: str
    run: str
    key: OpenKey
    positions: dict[str, int]
    source: dict[str, str]
    time_ms: int
    takeover: bool = False
    topic_again: bool = False
    one_stream: tuple[str, ...] = ()


OpenDecision = (
    Create | OpenFound | Superseded | Rival | Gap | StreamContested | SecondStream | TopicTaken
)


def find_open(
    store: Store,
    stream: str,
    submission: str,
    is_wanted: Callable[[OpenKey], bool] = lambda _: True,
) -> OpenFound | None:
    """Return the newest open of a submission whose key is wanted, None if there is none.

    Raises
    ------
    Superseded
        The open stands, and another run holds the stream.
    """
    head = store.head()
    read = partial(manifest_bytes, store)
    entry = parse_manifest(read(head)).streams.get(stream)

    def is_its(key: OpenKey) -> bool:
        return key.submission == submission and is_wanted(key)

    found = newest_open(entry, read, stream, submission, is_its)
    if found is not None and not found.in_force:
        raise superseded(stream, found.entry.run, head, entry)
    return found


def check_one_stream(store: Store, stream: str, one_stream: tuple[str, ...]) -> None:
    """Raise `SecondStream` if `append_open` would: for those who open elsewhere, later."""
    streams = parse_manifest(manifest_bytes(store, store.head())).streams
    refusal = _refuse_second(streams, stream, one_stream)
    if refusal is not None:
        raise refusal


def check_topic_free(store: Store, stream: str, source: Callable[[], Mapping[str, str]]) -> None:
    """Raise `TopicTaken` if `append_open` would. `source` is asked only if the answer matters."""
    streams = parse_manifest(manifest_bytes(store, store.head())).streams
    if not streams or stream in streams:
        return
    refusal = _refuse_taken(streams, stream, source())
    if refusal is not None:
        raise refusal


def check_same_source(
    store: Store, stream: str, source: Mapping[str, str], head: int | None = None
) -> StreamEntry | None:
    """Return head's entry of the stream; raise `SourceRecreated` if `append_open` would."""
    version = store.head() if head is None else head
    entry = read_manifest(store, version).streams.get(stream)
    refusal = _refuse_another_source(entry, stream, source)
    if refusal is not None:
        raise refusal
    return entry


def append_open(store: Store, wanted: Opening) -> int:
    """Append the open, or find that it was appended before; return its version, durable.

    Raises
    ------
    Superseded
        The open stands and another run holds the stream, or a restored run lost the stream.
    Rival, Gap
        A restored state does not stand where the store stands.
    StreamUnfit
        The stream's name or source is not one that a version may hold.
    SourceRecreated
        A fresh start of a stream that began with another source: its positions mean nothing there.
    StreamContested
        Too many runs took the stream over in the last minute, and `takeover` is not set.
    SecondStream
        The store holds another stream, and `one_stream` names a table.
    TopicTaken
        The stream is new, another one reads the topic `source`, and `topic_again` is not set.
    """
    head = 0
    while True:
        head = store.head(head)
        read_verified(store, head)
        decision = decide_open(head, partial(manifest_bytes, store), wanted)
        if isinstance(decision, Exception):
            raise decision
        if isinstance(decision, OpenFound):
            # The attempt that made it may have died before its folder was durable.
            store.append(decision.version, manifest_bytes(store, decision.version))
            return decision.version
        _refuse_unreadable(decision.manifest, wanted)
        if wanted.key.restored is None:  # of this very head: another start may have been first
            check_same_source(store, wanted.stream, wanted.source, head)
        if store.append(decision.version, decision.manifest):
            return decision.version


def _refuse_unreadable(manifest: bytes, wanted: Opening) -> None:
    """What cannot be read must never become head: a version is not taken back."""
    try:
        parse_manifest(manifest)
    except StoreDamaged as error:
        raise StreamUnfit(
            f"stream {wanted.stream!r:.200} cannot be opened ({error}); expected a name and the"
            f" keys of its source like {NAME_PATTERN}, and a source of at most 16 short texts"
        ) from error


def _refuse_another_source(
    entry: StreamEntry | None, stream: str, source: Mapping[str, str]
) -> SourceRecreated | None:
    if entry is None or entry.source == source:
        return None
    return SourceRecreated(
        f"stream {stream}: expected the source it has read so far, {_words(entry.source)}, up to"
        f" {_words(entry.positions)}; got {_words(source)}; go on with the same source, or give"
        " this one a stream of another name"
    )


def _words(pairs: Mapping[str, object]) -> str:
    """Return the pairs as a person reads them."""
    return ", ".join(f"{key} {value}" for key, value in sorted(pairs.items())) or "none named"


def decide_open(head: int, read: ReadVersion, wanted: Opening) -> OpenDecision:
    """Return what to do about the open while `head` is the newest version.

    Reads versions, changes nothing. A refusal is returned, not raised.
    """
    assert wanted.key.restored is not None or wanted.run == wanted.key.submission, "fresh run"
    parent_bytes = read(head)
    parent = parse_manifest(parent_bytes)
    entry = parent.streams.get(wanted.stream)
    key = wanted.key
    found = newest_open(entry, read, wanted.stream, key.submission, key.__eq__)
    if found is not None:
        return found if found.in_force else superseded(wanted.stream, wanted.run, head, entry)
    refusal = _refuse_second(parent.streams, wanted.stream, wanted.one_stream) or (
        _refuse_start(parent.streams, read, wanted)
        if key.restored is None
        else _refuse_restore(head, entry, wanted)
    )
    return refusal or _create(parent, sha256_hex(parent_bytes), entry, wanted)


def _refuse_second(
    streams: Collection[str], stream: str, one_stream: tuple[str, ...]
) -> SecondStream | None:
    """Rows that two streams change in turn hold what the order of their commits makes of them."""
    others = sorted(set(streams) - {stream})
    if not others or not one_stream:
        return None
    return SecondStream(
        f"stream {stream}: the store is fed by stream {', '.join(others)}, and what table"
        f" {', '.join(one_stream)} holds depends on the order of commits, so it takes one"
        " stream only; feed both topics into one stream, or keep a store for each"
    )


def _refuse_taken(
    streams: Mapping[str, StreamEntry], stream: str, source: Mapping[str, str]
) -> TopicTaken | None:
    """A stream that the store knows goes on, whoever reads its topic beside it."""
    readers = sorted(name for name, entry in streams.items() if entry.source == source)
    if stream in streams or not readers or "topic_id" not in source:
        return None
    return TopicTaken(
        f"stream {stream}: topic {source.get('topic')} is read by stream {', '.join(readers)}"
        " already; expected a topic that no other stream of the store reads, for each of its events"
        f" would count twice; go on with --stream {readers[0]}, or start with --topic-again if that"
        " is what you want"
    )


def _refuse_start(
    streams: Mapping[str, StreamEntry], read: ReadVersion, wanted: Opening
) -> TopicTaken | StreamContested | None:
    """A start takes over, unless others did so in turn lately. Restores take nothing over."""
    if not wanted.topic_again:
        taken = _refuse_taken(streams, wanted.stream, wanted.source)
        if taken is not None:
            return taken
    entry = streams.get(wanted.stream)
    if wanted.takeover or not is_contested(entry, read, wanted.stream, wanted.time_ms):
        return None
    return StreamContested(
        f"stream {wanted.stream}: {OPENS_CONTESTED} runs in a row took it over within"
        f" {OPENS_CONTESTED_WINDOW_MS // 1000} s and none of them committed anything; expected"
        " a commit, or fewer starts: two supervisors may be starting the same job, or it ends as"
        " soon as it starts. Stop one, or start with --takeover"
    )


def _refuse_restore(
    head: int, entry: StreamEntry | None, wanted: Opening
) -> Superseded | Rival | Gap | None:
    """A restore goes on with its own run, exactly where the store stands."""
    if entry is None or entry.run != wanted.run:
        return superseded(wanted.stream, wanted.run, head, entry)
    ahead, behind = compare(entry.positions, wanted.positions)
    if not ahead and not behind:
        return None
    both = (
        f"stream {wanted.stream}: version {head} stands at {entry.positions}, the restored state"
        f" at {wanted.positions}; start again without a savepoint: the job goes on from head"
    )
    return Rival(both) if ahead else Gap(both)


def _create(
    parent: Manifest, parent_sha256: str, entry: StreamEntry | None, wanted: Opening
) -> Create:
    version = parent.version + 1
    known = {} if entry is None else entry.positions
    opened = StreamEntry(
        open=version,
        positions=wanted.positions | known,
        run=wanted.run,
        seqs={} if entry is None else entry.seqs,
        source=wanted.source,
        version=version,
    )
    body = {
        "key": msgspec.to_builtins(wanted.key),
        "previous": None if entry is None else entry.open,
    }
    manifest = render_manifest(
        body=canonical_json(body),
        committable=None,
        kind="open",
        parent=parent_sha256,
        spec=parent.spec,
        streams=parent.streams | {wanted.stream: opened},
        time_ms=wanted.time_ms,
        version=version,
    )
    return Create(version, manifest)
