"""The bodies of versions: nothing of genesis, an open, and what a commit learned."""

from typing import Annotated

from msgspec import Meta

from strandline.limits import SHARDS_MAX
from strandline.manifest.values import (
    Count,
    FileRef,
    Index,
    ManifestPart,
    Name,
    Sha256,
    Text,
    Uuid,
    Version,
)


class GenesisBody(ManifestPart, frozen=True):
    """The body of version 0: nothing."""


class OpenKey(ManifestPart, frozen=True):
    """What an open is found by: one per start (restored is None) and one per restore."""

    restored: Count | None
    submission: Uuid


class OpenBody(ManifestPart, frozen=True):
    """The body of an open. `previous` is the stream's open before this one."""

    key: OpenKey
    previous: Version | None


class Counts(ManifestPart, frozen=True):
    """Every event read is learned, refused or rejected."""

    events: Count
    learned: Count
    refused: Count
    rejected: Count

    def __post_init__(self) -> None:
        if self.events != self.learned + self.refused + self.rejected:
            raise ValueError(f"{self} does not add up")


SpanEntry = tuple[Count, Count, Count]
"""Events [first, end) of a partition: (partition, first, end)."""


class DeltaEntry(ManifestPart, frozen=True):
    """One worker's delta: spans are in the order learned."""

    adopted: Version
    events: Count
    learned: Count
    pending: list[Count]
    refused: Text | None
    rejected: Count
    seq: Count
    spans: list[SpanEntry]
    worker: Count

    def __post_init__(self) -> None:
        expected = self.events - self.rejected if self.refused is None else 0
        if self.learned != expected or self.rejected > self.events:
            raise ValueError(f"worker {self.worker}, seq {self.seq}: counts do not add up")


class FileEntry(ManifestPart, frozen=True):
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


class Prequential(ManifestPart, frozen=True):
    """Weighted sums over predictions made before learning.

    `log_loss` in nats, None of predictions that are no probabilities; `squared_error` of all.
    """

    events: Count
    labels: float
    log_loss: float | None
    predictions: float
    squared_error: float
    weight: float


class Rejects(ManifestPart, frozen=True):
    """The file of rejected events, if there are any, and how many for which reason."""

    file: FileRef | None
    reasons: dict[Text, Count]


class TrainBody(ManifestPart, frozen=True):
    """The body of a commit: what was read, by whom, and the files that hold what was learned.

    `empty` has the spans that were read and hold no event of any delta: with those of the deltas
    they cover all that the stream moved, each position once.
    """

    checkpoint: Count | None
    counts: Counts
    deltas: list[DeltaEntry]
    empty: list[SpanEntry]
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
