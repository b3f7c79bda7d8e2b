"""Opens: versions without deltas that state where a run of a stream stands.

A fresh start begins a run and takes the stream over; a restore opens the same run again. An open
is found by its key, so an attempt repeated after a crash or a lost answer finds what it made.
"""

from collections.abc import Callable, Collection, Mapping
from dataclasses import dataclass
from functools import partial

import msgspec

from strandline.commit.committing import Create, ReadVersion, compare, superseded
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
    OpenBody,
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


@dataclass(frozen=True, slots=True)
class OpenFound:
    """An open that stands in the store. `in_force`: no other run holds the stream at head."""

    version: int
    entry: StreamEntry
    in_force: bool


OpenDecision = (
    Create | OpenFound | Superseded | Rival | Gap | StreamContested | SecondStream | TopicTaken
)


def find_open(store: Store, stream: str, is_wanted: Callable[[OpenKey], bool]) -> OpenFound | None:
    """Return the stream's newest open whose key is wanted, None if there is none.

    Raises
    ------
    Superseded
        The open stands, and another run holds the stream.
    """
    head = store.head()
    read = partial(manifest_bytes, store)
    entry = parse_manifest(read(head)).streams.get(stream)
    opens = [] if entry is None else _opens(entry, read, stream)
    found = None if entry is None else _find(entry, opens, stream, is_wanted)
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
        _refuse_another_source(read_manifest(store, head).streams.get(wanted.stream), wanted)
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


def _refuse_another_source(entry: StreamEntry | None, wanted: Opening) -> None:
    """Asked of the very head that the open is made for: another start may have been first."""
    if wanted.key.restored is None and entry is not None and entry.source != wanted.source:
        raise SourceRecreated(
            f"stream {wanted.stream}: expected the source it has read so far,"
            f" {_words(entry.source)}, up to {_words(entry.positions)}; got"
            f" {_words(wanted.source)}; go on with the same source, or give this one a stream of"
            " another name"
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
    opens = [] if entry is None else _opens(entry, read, wanted.stream)
    found = None if entry is None else _find(entry, opens, wanted.stream, wanted.key.__eq__)
    if found is not None:
        return found if found.in_force else superseded(wanted.stream, wanted.run, head, entry)
    refusal = _refuse_second(parent.streams, wanted.stream, wanted.one_stream) or (
        _refuse_start(parent.streams, opens, wanted)
        if wanted.key.restored is None
        else _refuse_restore(head, entry, wanted)
    )
    return refusal or _create(parent, sha256_hex(parent_bytes), entry, wanted)


def _opens(entry: StreamEntry, read: ReadVersion, stream: str) -> list[Manifest]:
    """Return the stream's opens, newest first: each names the one before it."""
    opens = []
    version: int | None = entry.open
    while version is not None:
        manifest = parse_manifest(read(version))
        if not isinstance(manifest.body, OpenBody) or manifest.stream != stream:
            raise StoreDamaged(f"version {version} is named as an open of stream {stream}")
        if manifest.body.previous is not None and manifest.body.previous >= version:
            raise StoreDamaged(
                f"version {version} says that the stream's open before it is version"
                f" {manifest.body.previous}, expected a lower one; run `strandline fsck`"
            )
        opens.append(manifest)
        version = manifest.body.previous
    return opens


def _find(
    entry: StreamEntry, opens: list[Manifest], stream: str, is_wanted: Callable[[OpenKey], bool]
) -> OpenFound | None:
    for manifest in opens:
        if isinstance(manifest.body, OpenBody) and is_wanted(manifest.body.key):
            found = manifest.streams[stream]
            return OpenFound(manifest.version, found, in_force=found.run == entry.run)
    return None


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
    streams: Mapping[str, StreamEntry], opens: list[Manifest], wanted: Opening
) -> TopicTaken | StreamContested | None:
    """A start takes over, unless too many did so lately. Restores take nothing over."""
    if not wanted.topic_again:
        taken = _refuse_taken(streams, wanted.stream, wanted.source)
        if taken is not None:
            return taken
    since = wanted.time_ms - OPENS_CONTESTED_WINDOW_MS
    recent = sum(
        isinstance(manifest.body, OpenBody)
        and manifest.body.key.restored is None
        and manifest.time_ms >= since
        for manifest in opens
    )
    if recent < OPENS_CONTESTED or wanted.takeover:
        return None
    return StreamContested(
        f"stream {wanted.stream}: {recent} runs took it over within"
        f" {OPENS_CONTESTED_WINDOW_MS // 1000} s, fewer than {OPENS_CONTESTED} are expected; two"
        " supervisors may be starting the same job: stop one, or start with --takeover"
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
