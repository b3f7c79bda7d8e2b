"""A version as what it says beyond the version before it.

A commit's manifest is a function of its parent, its stream, its time and its body: that is what the
commit does, and what `check_follows` asks of it. Of the body much is known, too: spans begin where
the ones before them ended, counts add up, seqs go up by one. What is left goes into columns.

Genesis, opens, and whatever does not follow from its parent are kept whole.
"""

import json
from collections.abc import Mapping
from typing import Any, Final, NamedTuple

from strandline.encoding.canonical import canonical_json, sha256_hex
from strandline.manifest import render_manifest
from strandline.manifest.continuity import render_committable
from strandline.store.columns import NOTHING, Columns
from strandline.store.restated_body import Known, restate_body

_WHOLE: Final = 0
_COMMIT: Final = 1


class Stated(NamedTuple):
    """A manifest's bytes, and what they say."""

    data: bytes
    says: Any

    @classmethod
    def of(cls, data: bytes) -> "Stated":
        return cls(data, json.loads(data))


def restate(columns: Columns, parent: Stated | None, data: bytes | None) -> Stated:
    """Put a manifest into columns, or get it back: then `data` is None. Returns the manifest.

    Raises
    ------
    ValueError
        If columns that are read hold no such thing.
    """
    written = None if data is None else Stated.of(data)
    follows = parent is not None and (written is None or _commits(parent, written))
    how = columns.number("how", _COMMIT if follows else _WHOLE, _COMMIT)
    if how == _COMMIT and parent is not None:
        return _commit(columns, parent, NOTHING if written is None else written.says)
    return _whole(columns, written)


def _whole(columns: Columns, written: Stated | None) -> Stated:
    if written is not None:
        columns.value("whole", written.says, None)
        return written
    return Stated.of(canonical_json(columns.value("whole", None, None)))


def _commits(parent: Stated, child: Stated) -> bool:
    """Return whether the child's bytes are what a commit of its body makes of the parent."""
    try:
        stream = _own_stream(child.says)
        if stream is None or child.says["kind"] != "train":
            return False
        return _made(parent, stream, child.says["time_ms"], child.says["body"]).data == child.data
    except (ArithmeticError, AttributeError, LookupError, TypeError, ValueError):
        return False  # no version's bytes, or none of this line


def _made(parent: Stated, stream: str, time_ms: int, body: Any) -> Stated:
    """Return the manifest that a commit of this body makes."""
    entry = parent.says["streams"][stream]
    first, after = _moved(entry["positions"], body)
    seqs = {str(delta["worker"]): delta["seq"] for delta in _in_order(body["deltas"])}
    committable = render_committable(
        after=after,
        before=entry["positions"],
        body=body,
        first=first,
        run=entry["run"],
        seqs=seqs,
        stream=stream,
        time_ms=time_ms,
    )
    version = parent.says["version"] + 1
    changed = {"positions": after, "seqs": {**entry["seqs"], **seqs}, "version": version}
    streams = {**parent.says["streams"], stream: {**entry, **changed}}
    data = render_manifest(
        body=canonical_json(body),
        committable=sha256_hex(committable),
        kind="train",
        parent=sha256_hex(parent.data),
        spec=parent.says["spec"],
        streams=streams,
        time_ms=time_ms,
        version=version,
    )
    says = {"body": body, "spec": parent.says["spec"], "streams": streams, "time_ms": time_ms}
    return Stated(data, says | {"version": version})


def _moved(before: Mapping[str, int], body: Any) -> tuple[dict[str, int], dict[str, int]]:
    """Return where new partitions begin, and where all of them end."""
    first: dict[str, int] = {}
    after = dict(before)
    for partition, begin, end in (*_spans_of(body["deltas"]), *body["empty"]):
        name = str(partition)
        if name not in before:
            first[name] = min(begin, first.get(name, begin))
        after[name] = max(end, after.get(name, end))
    return first, after


def _spans_of(deltas: Any) -> list[Any]:
    return [span for delta in deltas for span in delta["spans"]]


def _in_order(deltas: Any) -> list[Any]:
    return sorted(deltas, key=lambda delta: (delta["worker"], delta["seq"]))


def _commit(columns: Columns, parent: Stated, said: Any) -> Stated:
    stream = columns.value("stream", _own_stream(said), _own_stream(parent.says) or "")
    time_ms = columns.number("time_ms", said["time_ms"], parent.says["time_ms"])
    entry = parent.says["streams"].get(stream)
    if entry is None:
        raise ValueError(f"stream {stream!r:.100} is not known")
    known = Known(
        version=parent.says["version"] + 1,
        time_ms=time_ms,
        positions=_numbered(entry["positions"]),
        seqs=_numbered(entry["seqs"]),
        before=parent.says["body"],
    )
    return _made(parent, stream, time_ms, restate_body(columns, said["body"], known))


def _own_stream(says: Any) -> str | None:
    """Return the stream that a version belongs to, None of genesis."""
    if says is NOTHING:
        return None
    entries = says["streams"].items()
    return next((name for name, entry in entries if entry["version"] == says["version"]), None)


def _numbered(by_name: Mapping[str, int]) -> dict[int, int]:
    return {int(name): value for name, value in by_name.items()}
