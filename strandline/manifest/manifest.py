"""What a version says of itself and of every stream, beside its body."""

from typing import Annotated, Final, Literal

from msgspec import Meta

from strandline.limits import VERSION_MAX
from strandline.manifest.bodies import Body, OpenBody
from strandline.manifest.values import (
    Count,
    Index,
    ManifestPart,
    Name,
    Positions,
    Sha256,
    Text,
    Uuid,
    Version,
)

FORMAT: Final = 1

Kind = Literal["genesis", "open", "train"]


class StreamEntry(ManifestPart, frozen=True):
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


class Fields(ManifestPart, frozen=True):
    """The fields of a manifest but for its body, whose type depends on `kind`."""

    committable: Sha256 | None
    digest: Sha256
    format: Literal[1]
    kind: Kind
    parent: Sha256 | None
    spec: Sha256
    streams: dict[Name, StreamEntry]
    time_ms: Count
    version: Version


class Manifest(Fields, frozen=True):
    """A version.

    `committable` is the identity of the commit that made it, `parent` the SHA-256 of the bytes of
    version - 1, `spec` that of the spec file. `digest` is the SHA-256 of the manifest's own bytes
    without this key: it tells an altered head, which no later version names.
    """

    body: Body

    def __post_init__(self) -> None:
        version, kind = self.version, self.kind
        first = version == 0
        if (kind == "genesis") != first or (self.parent is None) != first:
            raise ValueError(f"version {version} of kind {kind}, parent {self.parent}")
        if (kind == "train") != (self.committable is not None):
            raise ValueError(f"kind {kind}, committable {self.committable}")
        newest = [name for name, entry in self.streams.items() if entry.version >= version]
        if len(newest) != (0 if first else 1) or (first and self.streams):
            raise ValueError(
                f"version {version} names {newest} as its stream; expected exactly one"
            )
        if first:
            return
        entry = self.streams[newest[0]]
        if entry.version != version or (kind == "open") != (entry.open == version):
            raise ValueError(f"version {version} of kind {kind}: stream at {entry.version}")
        if isinstance(self.body, OpenBody):
            previous = self.body.previous
            if previous is not None and previous >= version:
                raise ValueError(f"open {version} names {previous} as the open before it")

    @property
    def stream(self) -> str | None:
        """The stream this version is a commit or an open of; None for genesis."""
        for name, entry in self.streams.items():
            if entry.version == self.version:
                return name
        return None
