"""Lines of versions under construction, and what is asked of them: for vectors and tests."""

import json
from typing import Any

from strandline.commit.committable import Committable
from strandline.commit.committing import Create, decide
from strandline.commit.opening import Opening, decide_open
from strandline.encoding.canonical import canonical_json, sha256_hex
from strandline.manifest import OpenKey, genesis
from strandline.manifest.codec import seal
from strandline.manifest.continuity import render_committable

SPEC = sha256_hex(b"a spec")
RUN, OTHER_RUN, THIRD_RUN = "a" * 32, "b" * 32, "c" * 32
SOURCE = {"cluster": "Zm9v", "topic": "klicks-für-Zoë\u2028😀", "topic_id": '"\\/\u007f'}
TIME_MS = 1_700_000_000_000


class Line:
    """A line of versions under construction: every step decides as a store's client would."""

    def __init__(self) -> None:
        self.manifests = [genesis(SPEC)]

    @property
    def head(self) -> int:
        return len(self.manifests) - 1

    def open(self, *args: Any, **kwargs: Any) -> "Line":
        decision = decide_open(self.head, self.manifests.__getitem__, opening(*args, **kwargs))
        assert isinstance(decision, Create), decision
        self.manifests.append(decision.manifest)
        return self

    def commit(self, data: bytes) -> "Line":
        decision = decide(self.head, self.manifests.__getitem__, Committable.parse(data))
        assert isinstance(decision, Create), decision
        self.manifests.append(decision.manifest)
        return self


def resealed(manifest: bytes) -> bytes:
    """An altered manifest with the digest of what it says now, as its forger would make it."""
    fields = json.loads(manifest)
    body = canonical_json(fields.pop("body"))
    del fields["digest"]
    return seal(body, canonical_json(fields))


def long_line(versions: int) -> list[bytes]:
    """A line of so many versions, at least 3, whose commits say little: for what is about many."""
    made = line()
    while len(made.manifests) < versions:
        step = len(made.manifests) - 2
        before = {"0": 100 + step, "1": 7}
        made.commit(committable(before, before | {"0": 101 + step}, seqs={"0": 1 + step}))
    return made.manifests


def opening(
    run: str = RUN,
    positions: dict[str, int] | None = None,
    *,
    stream: str = "events",
    restored: int | None = None,
    submission: str | None = None,
    source: dict[str, str] | None = None,
    time_ms: int = TIME_MS,
    takeover: bool = False,
    topic_again: bool = False,
    one_stream: tuple[str, ...] = (),
) -> Opening:
    return Opening(
        stream=stream,
        run=run,
        key=OpenKey(restored=restored, submission=run if submission is None else submission),
        positions={"0": 100, "1": 7} if positions is None else positions,
        source=SOURCE if source is None else source,
        time_ms=time_ms,
        takeover=takeover,
        topic_again=topic_again,
        one_stream=one_stream,
    )


def train_body(
    note: str = "zäh\t\u2028😀",
    events: int = 60,
    spans: list[tuple[int, int, int]] | None = None,
    seqs: dict[str, int] | None = None,
) -> dict[str, Any]:
    """A body with text and floats that another renderer is likely to spell differently."""
    return {
        "checkpoint": 17,
        "counts": {"events": events, "learned": events - 2, "refused": 0, "rejected": 2},
        "deltas": deltas(
            {"0": 12} if seqs is None else seqs,
            [(0, 100, 150), (1, 7, 17)] if spans is None else spans,
            events,
        ),
        "empty": [],
        "event_time_ms": [TIME_MS - 5000, TIME_MS],
        "files": [
            {
                "bytes": len(b"a delta"),
                "replica": 0,
                "rows": {"ctr.zn": 512},
                "seqs": {"0": 12},
                "sha256": sha256_hex(b"a delta"),
                "shard": 0,
                "shards": 1,
                "time_ms": TIME_MS,
            }
        ],
        "prequential": {
            "ctr": {
                "events": events - 2,
                "labels": 1e16,
                "log_loss": 0.1,
                "predictions": 1e-07,
                "squared_error": 0.0,
                "weight": 5e-324,
            }
        },
        "rejects": {
            "file": {"bytes": len(b"the rejects"), "sha256": sha256_hex(b"the rejects")},
            "reasons": {"not_json": 1, note: 1},
        },
    }


def nothing(spans: list[tuple[int, int, int]]) -> dict[str, Any]:
    """The body of a commit that read no event."""
    return {
        "checkpoint": None,
        "counts": {"events": 0, "learned": 0, "refused": 0, "rejected": 0},
        "deltas": [],
        "empty": spans,
        "event_time_ms": [0, 0],
        "files": [],
        "prequential": {},
        "rejects": {"file": None, "reasons": {}},
    }


def deltas(
    seqs: dict[str, int], spans: list[tuple[int, int, int]], events: int
) -> list[dict[str, Any]]:
    """A delta of each worker; the first one has read it all."""
    made: list[dict[str, Any]] = [
        {
            "adopted": 0,
            "events": 0,
            "learned": 0,
            "pending": [11],
            "refused": None,
            "rejected": 0,
            "seq": seq,
            "spans": [],
            "worker": int(worker),
        }
        for worker, seq in seqs.items()
    ]
    made[0] |= {"events": events, "learned": events - 2, "rejected": 2, "spans": spans}
    return made


def committable(
    before: dict[str, int],
    after: dict[str, int],
    *,
    first: dict[str, int] | None = None,
    run: str = RUN,
    seqs: dict[str, int] | None = None,
    stream: str = "events",
    body: dict[str, Any] | None = None,
) -> bytes:
    seqs, first = {"0": 12} if seqs is None else seqs, {} if first is None else first
    begun = first | before
    moved = sorted(
        (int(partition), begun.get(partition, 0), end)
        for partition, end in after.items()
        if end != before.get(partition)
    )
    return render_committable(
        after=after,
        before=before,
        body=(train_body(spans=moved, seqs=seqs) if seqs else nothing(moved)) | (body or {}),
        first=first,
        run=run,
        seqs=seqs,
        stream=stream,
        time_ms=TIME_MS + 10_000,
    )


B0 = {"0": 100, "1": 7}
B1 = {"0": 150, "1": 17}
B2 = {"0": 200, "1": 17}
B3 = {"0": 260, "1": 40}
C1 = committable(B0, B1)
C2 = committable(B1, B2, seqs={"1": 3})
C3 = committable(B2, B3, seqs={"0": 13, "10": 1, "2": 4})
C1_OTHER = committable(B0, B1, body={"rejects": train_body(note="another")["rejects"]})
NEW = committable(B1, B1 | {"2": 9, "10": 4}, first={"2": 5, "10": 4}, seqs={"0": 13})
FILE = {"file": "ö.jsonl"}
SECOND = opening(OTHER_RUN, {"0": 5}, stream="views", source=FILE)
THIRD = opening(THIRD_RUN, {"0": 5}, stream="more-views", source=FILE)
SECOND_COMMIT = committable({"0": 5}, {"0": 8}, run=OTHER_RUN, stream="views")


def line() -> Line:
    return Line().open()


def second_stream(to: Line) -> Line:
    return to.open(OTHER_RUN, {"0": 5}, stream="views", source=FILE)
