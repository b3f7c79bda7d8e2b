"""The manifest: the immutable JSON file that is a version. Strict to read, canonical to write.

The top level and `streams` hold only integers, strings and objects, so another language renders
them to the same bytes. The body of a `train` version holds floats; it is rendered once, by the
worker's side, and spliced in as text ever after.
"""

import json
from typing import Annotated, Final, Literal

import msgspec
from msgspec import Meta, Struct

from strandline.canonical import canonical_json
from strandline.errors import StoreDamaged
from strandline.limits import MANIFEST_BYTES_MAX, NAME_PATTERN, SHARDS_MAX, VERSION_MAX
from strandline.structs import ready

FORMAT: Final = 1
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

Kind = Literal["genesis", "open", "train"]


class _Part(Struct, frozen=True, forbid_unknown_fields=True, kw_only=True):
    """A part of a manifest: immutable, every key known and present."""


class FileRef(Struct, frozen=True, forbid_unknown_fields=True):
    """A content-addressed file of the store: its SHA-256 and its length."""

    sha256: Sha256
    bytes: Count


class StreamEntry(_Part, frozen=True):
    """Where one stream stands; every manifest carries the entry of every stream.

    `open` is the version of the stream's newest open, `version` the newest version of this
    stream (an open or a commit), `seqs` the seq contained per worker.
    """

    open: Annotated[int, Meta(ge=1, le=VERSION_MAX)]
    positions: Positions
    run: Uuid
    seqs: dict[Index, Count]
    source: Annotated[dict[Name, Text], Meta(max_length=16)]
    version: Annotated[int, Meta(ge=1, le=VERSION_MAX)]

    def __post_init__(self) -> None:
        if self.open > self.version:
            raise ValueError(f"open {self.open} is newer than the stream's version {self.version}")


class GenesisBody(_Part, frozen=True):
    """The body of version 0: nothing."""


class OpenKey(_Part, frozen=True):
    """What an open is found by: one per start (restored is None) and one per restore."""

    restored: Count | None
    submission: Uuid


class OpenBody(_Part, frozen=True):
    """The body of an open. `previous` is the stream's open before this one."""

    key: OpenKey
    previous: Version | None


class Counts(_Part, frozen=True):
    """Every event read is learned, refused or rejected."""

    events: Count
    learned: Count
    refused: Count
    rejected: Count

    def __post_init__(self) -> None:
        if self.events != self.learned + self.refused + self.rejected:
            raise ValueError(f"{self} does not add up")


class DeltaEntry(_Part, frozen=True):
    """One worker's delta: spans are (partition, from, to), half-open, in the order learned."""

    adopted: Version
    events: Count
    learned: Count
    pending: list[Count]
    refused: Text | None
    rejected: Count
    seq: Count
    spans: list[tuple[Count, Count, Count]]
    worker: Count

    def __post_init__(self) -> None:
        expected = self.events - self.rejected if self.refused is None else 0
        if self.learned != expected or self.rejected > self.events:
            raise ValueError(f"worker {self.worker}, seq {self.seq}: counts do not add up")


class FileEntry(_Part, frozen=True):
    """One delta file, of shard `shard` of `shards`.

    `replica` is the version its merger stood on, `rows` counts per table, `seqs` the newest delta
    of each worker that was merged into it, `time_ms` the time at which it was merged.
    """

    bytes: Count
    replica: Version
    rows: dict[Text, Count]
    seqs: dict[Index, Count]
    sha256: Sha256
    shard: Count
    shards: Annotated[int, Meta(ge=1, le=SHARDS_MAX)]
    time_ms: Count

    def __post_init__(self) -> None:
        if self.shard >= self.shards:
            raise ValueError(f"a file of shard {self.shard}, the last is {self.shards - 1}")

    @property
    def ref(self) -> FileRef:
        return FileRef(sha256=self.sha256, bytes=self.bytes)


class Prequential(_Part, frozen=True):
    """Weighted sums over predictions made before learning.

    `log_loss` in nats, None of predictions that are no probabilities; `squared_error` of all.
    """

    events: Count
    labels: float
    log_loss: float | None
    predictions: float
    squared_error: float
    weight: float


class Rejects(_Part, frozen=True):
    """The file of rejected events, if there are any, and how many for which reason."""

    file: FileRef | None
    reasons: dict[Text, Count]


class TrainBody(_Part, frozen=True):
    """The body of a commit: what was read, by whom, and the files that hold what was learned."""

    checkpoint: Count | None
    counts: Counts
    deltas: list[DeltaEntry]
    event_time_ms: tuple[Count, Count]
    files: list[FileEntry]
    prequential: dict[Name, Prequential]
    rejects: Rejects

    def __post_init__(self) -> None:
        refused = sum(d.events - d.rejected for d in self.deltas if d.refused is not None)
        sums = Counts(
            events=sum(d.events for d in self.deltas),
            learned=sum(d.learned for d in self.deltas),
            refused=refused,
            rejected=sum(d.rejected for d in self.deltas),
        )
        if sums != self.counts:
            raise ValueError(f"counts are {self.counts}, the deltas' sums are {sums}")
        if sum(self.rejects.reasons.values()) != sums.rejected:
            raise ValueError(f"{sums.rejected} events rejected, reasons: {self.rejects.reasons}")
        shards = [file.shard for file in self.files]
        if shards != sorted(shards) or len({file.shards for file in self.files}) > 1:
            raise ValueError(f"files of shards {shards}, expected them in order and of one count")


Body = TrainBody | OpenBody | GenesisBody


class _Head(_Part, frozen=True):
    """A manifest but for its body, whose type depends on `kind`."""

    committable: Sha256 | None
    format: Literal[1]
    kind: Kind
    parent: Sha256 | None
    spec: Sha256
    streams: dict[Name, StreamEntry]
    time_ms: Count
    version: Version


class Manifest(_Head, frozen=True):
    """A version. `committable` is the identity of the commit that made it, `parent` the SHA-256
    of the bytes of version - 1, `spec` that of the spec file."""

    body: Body

    @property
    def stream(self) -> str | None:
        """The stream this version is a commit or an open of; None for genesis."""
        for name, entry in self.streams.items():
            if entry.version == self.version:
                return name
        return None


class _Envelope(_Head, frozen=True):
    """A manifest whose body is still text."""

    body: msgspec.Raw


class _Format(Struct):
    format: Annotated[int, Meta(gt=FORMAT)]


_BODIES: Final[dict[Kind, type[Body]]] = {
    "genesis": GenesisBody,
    "open": OpenBody,
    "train": TrainBody,
}
ready(*_BODIES.values())
_ENVELOPE: Final = msgspec.json.Decoder(_Envelope)
_NEWER: Final = msgspec.json.Decoder(_Format)
_UNREADABLE: Final = (msgspec.MsgspecError, ValueError, RecursionError)


def parse_manifest(data: bytes) -> Manifest:
    """Return the manifest that the bytes hold.

    Raises
    ------
    StoreDamaged
        If the bytes are not canonical JSON, too long, of a newer format, hold an unknown or lack
        a known key, or if the values contradict each other.

    Examples
    --------
    >>> parse_manifest(genesis("0" * 64)).kind
    'genesis'
    """
    try:
        check_canonical(data)
        envelope = _ENVELOPE.decode(data)
        body = msgspec.json.decode(envelope.body, type=_BODIES[envelope.kind])
        head = {name: getattr(envelope, name) for name in _Head.__struct_fields__}
        manifest = Manifest(body=body, **head)
        _check(manifest)
    except _UNREADABLE as error:
        raise StoreDamaged(f"not a manifest: {newer_format(data) or error}") from error
    return manifest


def render_manifest(
    *,
    body: bytes,
    committable: str | None,
    kind: Kind,
    parent: str | None,
    spec: str,
    streams: dict[str, StreamEntry],
    time_ms: int,
    version: int,
) -> bytes:
    """Return the manifest's bytes. `body` is canonical JSON and goes in unchanged, byte by byte."""
    rest = canonical_json(
        {
            "committable": committable,
            "format": FORMAT,
            "kind": kind,
            "parent": parent,
            "spec": spec,
            "streams": msgspec.to_builtins(streams),
            "time_ms": time_ms,
            "version": version,
        }
    )
    return b'{"body":' + body + b"," + rest[1:]  # "body" sorts before every other key


def genesis(spec_sha256: str) -> bytes:
    """Return the bytes of version 0 of a store of this spec: no parameters, no streams."""
    return render_manifest(
        body=b"{}",
        committable=None,
        kind="genesis",
        parent=None,
        spec=spec_sha256,
        streams={},
        time_ms=0,
        version=0,
    )


def check_canonical(data: bytes) -> None:
    """Raise ValueError unless the bytes are canonical JSON of a manifest's length at most.

    Only canonical bytes are read, so a key that stands twice, a NaN or a number in another
    spelling is refused, and two readers cannot understand one manifest in two ways.
    """
    if len(data) > MANIFEST_BYTES_MAX:
        raise ValueError(f"{len(data)} bytes, at most {MANIFEST_BYTES_MAX} are allowed")
    if canonical_json(json.loads(data)) != data:
        raise ValueError("not canonical JSON")


def newer_format(data: bytes) -> str | None:
    """Return the sentence that says so if the bytes name a format newer than this release's."""
    try:
        found = _NEWER.decode(data).format
    except _UNREADABLE:
        return None
    return f"format {found} is newer than this release reads ({FORMAT}); upgrade strandline"


def _check(manifest: Manifest) -> None:
    """Raise ValueError where single values are fine and contradict each other."""
    version, kind = manifest.version, manifest.kind
    first = version == 0
    if (kind == "genesis") != first or (manifest.parent is None) != first:
        raise ValueError(f"version {version} of kind {kind}, parent {manifest.parent}")
    if (kind == "train") != (manifest.committable is not None):
        raise ValueError(f"kind {kind}, committable {manifest.committable}")
    newest = [name for name, entry in manifest.streams.items() if entry.version >= version]
    if len(newest) != (0 if first else 1) or (first and manifest.streams):
        raise ValueError(f"version {version} names {newest} as its stream; expected exactly one")
    if first:
        return
    entry = manifest.streams[newest[0]]
    if entry.version != version or (kind == "open") != (entry.open == version):
        raise ValueError(f"version {version} of kind {kind}: stream at {entry.version}")
    if isinstance(manifest.body, OpenBody):
        previous = manifest.body.previous
        if previous is not None and previous >= version:
            raise ValueError(f"open {version} names {previous} as the open before it")
