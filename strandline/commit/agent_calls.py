"""What a store agent is asked, and its answers.

Every call may be repeated: what an earlier attempt did is found, not done twice.
"""

from typing import Any, Final

import msgspec

from strandline.commit.committable import committable_from
from strandline.commit.committing import commit, superseded
from strandline.commit.opening import Opening, append_open, find_open
from strandline.commit.prepared import Prepared
from strandline.encoding.structs import ready
from strandline.manifest import (
    INT64_MAX,
    Count,
    Name,
    OpenKey,
    Positions,
    StreamEntry,
    Uuid,
)
from strandline.store import open_store
from strandline.store.base import Store
from strandline.store.chain import read_manifest

END_OF_INPUT: Final = INT64_MAX
"""Stands for the checkpoint that follows the end of the input: its number is not known there."""

Answer = dict[str, Any] | None


class Call(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True, tag_field="call"):
    """A question; `call` is the tag of its type."""


class Head(Call, frozen=True, kw_only=True, tag="head"):
    """Which version is the newest: for those who ask whether the store is seen at all."""

    def answer(self, store: Store) -> Answer:
        """Return `head`."""
        return {"head": store.head()}


class FindOpen(Call, frozen=True, kw_only=True, tag="find_open"):
    """The open that a submission made when it started, or restored this checkpoint."""

    stream: Name
    submission: Uuid
    restored: Count | None

    def answer(self, store: Store) -> Answer:
        """Return version, run and positions of the open; None if there is none yet."""
        key = OpenKey(restored=self.restored, submission=self.submission)
        found = find_open(store, self.stream, self.submission, key.__eq__)
        return None if found is None else _open(found.version, found.entry)


class NewestOpen(Call, frozen=True, kw_only=True, tag="newest_open"):
    """The newest open of a submission, whatever made it."""

    stream: Name
    submission: Uuid

    def answer(self, store: Store) -> Answer:
        """Return version, run and positions of the open; None if there is none yet."""
        found = find_open(store, self.stream, self.submission)
        return None if found is None else _open(found.version, found.entry)


class Look(Call, frozen=True, kw_only=True, tag="look"):
    """Where the stream stands, for those who compare it with Kafka before they open it."""

    stream: Name

    def answer(self, store: Store) -> Answer:
        """Return head, and what it says of the stream; None if it does not know it."""
        head = store.head()
        entry = read_manifest(store, head).streams.get(self.stream)
        said = None
        if entry is not None:
            said = {"positions": entry.positions, "run": entry.run, "source": entry.source}
        return {"entry": said, "head": head}


class Open(Call, frozen=True, kw_only=True, tag="open"):
    """Append the open of a start or of a restore, or find that it stands; see `Opening`.

    `source` None: the one that the stream has read so far.
    """

    stream: Name
    run: Uuid
    submission: Uuid
    restored: Count | None
    positions: Positions
    source: dict[str, str] | None
    time_ms: Count
    takeover: bool
    topic_again: bool
    one_stream: tuple[str, ...]

    def answer(self, store: Store) -> Answer:
        """Return version, run and positions of the open."""
        source = _source_so_far(store, self.stream) if self.source is None else self.source
        version = append_open(
            store,
            Opening(
                self.stream,
                run=self.run,
                key=OpenKey(restored=self.restored, submission=self.submission),
                positions=self.positions,
                source=source,
                time_ms=self.time_ms,
                takeover=self.takeover,
                topic_again=self.topic_again,
                one_stream=self.one_stream,
            ),
        )
        return _open(version, read_manifest(store, version).streams[self.stream])


class Commit(Call, frozen=True, kw_only=True, tag="commit"):
    """Commit an epoch that begins at `before`.

    `prepared` is the text of a `Prepared`. `restored` is the checkpoint that the asking job was
    restored from: files of an epoch that an earlier attempt prepared are read again.
    """

    stream: Name
    before: Positions
    prepared: str
    restored: Count | None

    def answer(self, store: Store) -> Answer:
        """Return the version, whether it stood before, and the account of its epoch."""
        prepared = Prepared.decode(self.prepared.encode())
        committable = committable_from(prepared, self.before, self.stream)
        made = commit(store, committable, lengths_only=not self._may_be_older(prepared))
        return {
            "checkpoint": prepared.body.checkpoint or 0,
            "counts": msgspec.to_builtins(prepared.body.counts),
            "mine": made.mine,
            "newest_event_ms": prepared.body.event_time_ms[1],
            "version": made.version,
        }

    def _may_be_older(self, prepared: Prepared) -> bool:
        checkpoint = prepared.body.checkpoint or 0
        return self.restored is not None and (
            checkpoint <= self.restored or checkpoint == END_OF_INPUT
        )


class CheckInForce(Call, frozen=True, kw_only=True, tag="check_in_force"):
    """Whether the run still holds the stream. `head` was the newest version when it did."""

    stream: Name
    run: Uuid
    head: Count

    def answer(self, store: Store) -> Answer:
        """Return `head`; raises Superseded if another run holds the stream there."""
        head = store.head(self.head)
        if head != self.head:
            entry = read_manifest(store, head).streams.get(self.stream)
            if entry is None or entry.run != self.run:
                raise superseded(self.stream, self.run, head, entry)
        return {"head": head}


AnyCall = Head | FindOpen | NewestOpen | Look | Open | Commit | CheckInForce

ready(Head, FindOpen, NewestOpen, Look, Open, Commit, CheckInForce)


class Stores:
    """The store that an agent answers for, opened at the first call that finds it."""

    def __init__(self, url: str) -> None:
        self._url = url
        self._store: Store | None = None

    def answer(self, call: AnyCall) -> Answer:
        """Answer a call; raises what the store and the commit raise."""
        if self._store is None:
            self._store = open_store(self._url)
        return call.answer(self._store)


def _open(version: int, entry: StreamEntry) -> dict[str, Any]:
    return {"positions": entry.positions, "run": entry.run, "version": version}


def _source_so_far(store: Store, stream: str) -> dict[str, str]:
    entry = read_manifest(store, store.head()).streams.get(stream)
    return {} if entry is None else entry.source
