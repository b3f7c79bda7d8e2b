"""Make the shared vectors of the commit: `python tests/golden/make_commit_vectors.py`.

Every implementation of the commit, in whatever language, runs all files of tests/golden/commit.
`manifests` are the texts of versions 0, 1, 2 …; the last one is head.

* A vector with `committable` asks what to do with that committable at head. `expect.outcome` is
  create, mine, superseded, rival or gap; `version` is the version to create, or the one that is
  mine; `manifest` the text to create it with. Both are null where they say nothing.
* A vector with `open` asks the same of an open; its outcomes are create, found, superseded, rival,
  gap and contested.
"""

import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from strandline.canonical import canonical_json, sha256_hex
from strandline.commit import Committable, Create, decide
from strandline.errors import StrandlineError
from strandline.manifest import OpenKey, genesis
from strandline.opening import CreateOpen, Opening, decide_open

FOLDER = Path(__file__).parent / "commit"
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
        assert isinstance(decision, CreateOpen), decision
        self.manifests.append(decision.manifest)
        return self

    def commit(self, data: bytes) -> "Line":
        decision = decide(self.head, self.manifests.__getitem__, Committable.parse(data))
        assert isinstance(decision, Create), decision
        self.manifests.append(decision.manifest)
        return self


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
) -> Opening:
    return Opening(
        stream=stream,
        run=run,
        key=OpenKey(restored=restored, submission=run if submission is None else submission),
        positions={"0": 100, "1": 7} if positions is None else positions,
        source=SOURCE if source is None else source,
        time_ms=time_ms,
        takeover=takeover,
    )


def train_body(note: str = "zäh\t\u2028😀", events: int = 60) -> dict[str, Any]:
    """A body with text and floats that another renderer is likely to spell differently."""
    return {
        "checkpoint": 17,
        "counts": {"events": events, "learned": events - 2, "refused": 0, "rejected": 2},
        "deltas": [
            {
                "adopted": 0,
                "events": events,
                "learned": events - 2,
                "pending": [11],
                "refused": None,
                "rejected": 2,
                "seq": 12,
                "spans": [[0, 100, 150], [1, 7, 17]],
                "worker": 0,
            }
        ],
        "event_time_ms": [TIME_MS - 5000, TIME_MS],
        "files": [
            {
                "bytes": len(b"a delta"),
                "replica": 0,
                "rows": {"ctr.zn": 512},
                "sha256": sha256_hex(b"a delta"),
                "shard": 0,
            }
        ],
        "prequential": {
            "ctr": {
                "events": events - 2,
                "labels": 1e16,
                "log_loss": 0.1,
                "predictions": 1e-07,
                "weight": 5e-324,
            }
        },
        "rejects": {
            "file": {"bytes": len(b"the rejects"), "sha256": sha256_hex(b"the rejects")},
            "reasons": {"not_json": 1, note: 1},
        },
    }


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
    return canonical_json(
        {
            "after": after,
            "before": before,
            "body": train_body() if body is None else body,
            "first": {} if first is None else first,
            "format": 1,
            "run": run,
            "seqs": {"0": 12} if seqs is None else seqs,
            "stream": stream,
            "time_ms": TIME_MS + 10_000,
        }
    )


B0 = {"0": 100, "1": 7}
B1 = {"0": 150, "1": 17}
B2 = {"0": 200, "1": 17}
B3 = {"0": 260, "1": 40}
C1 = committable(B0, B1)
C2 = committable(B1, B2, seqs={"1": 3})
C3 = committable(B2, B3, seqs={"0": 13, "10": 1, "2": 4})
C1_OTHER = committable(B0, B1, body=train_body(note="another"))
NEW = committable(B1, B1 | {"2": 9, "10": 4}, first={"2": 5, "10": 4})
SECOND = opening(OTHER_RUN, {"0": 5}, stream="views")
SECOND_COMMIT = committable({"0": 5}, {"0": 8}, run=OTHER_RUN, stream="views")


def line() -> Line:
    return Line().open()


def second_stream(to: Line) -> Line:
    return to.open(OTHER_RUN, {"0": 5}, stream="views", source={"file": "ö.jsonl"})


def commit_cases() -> Iterator[tuple[str, Line, bytes, str]]:
    """Yield (name, versions, committable, expected outcome)."""
    yield "create on the open", line(), C1, "create"
    yield "create on head", line().commit(C1), C2, "create"
    yield "create keeps the seqs of other workers", line().commit(C1).commit(C2), C3, "create"
    rebased = second_stream(line().commit(C1)).commit(SECOND_COMMIT)
    yield "create after another stream's commit", rebased, C2, "create"
    yield "create after another stream's open", second_stream(line()), C1, "create"
    restored = line().commit(C1).open(RUN, B1, restored=17, submission=THIRD_RUN)
    yield "create after a restore", restored, C2, "create"
    resumed = line().commit(C1).open(OTHER_RUN, B1)
    yield (
        "create in a new run over an old one",
        resumed,
        committable(B1, B2, run=OTHER_RUN),
        ("create"),
    )
    yield "create with new partitions", line().commit(C1), NEW, "create"
    yield (
        "create with a first partition without events",
        line().commit(C1),
        (committable(B1, B1 | {"2": 5}, first={"2": 5})),
        "create",
    )
    empty = Line().open(RUN, {}, source={})
    yield (
        "create the first partition of an empty stream",
        empty,
        (committable({}, {"0": 3}, first={"0": 0}, seqs={})),
        "create",
    )
    hole = train_body() | {"deltas": [], "files": [], "prequential": {}, "checkpoint": None}
    hole |= {"counts": {"events": 0, "learned": 0, "refused": 0, "rejected": 0}}
    hole |= {"rejects": {"file": None, "reasons": {}}, "event_time_ms": [0, 0]}
    yield (
        "create over a hole without events",
        line(),
        committable(B0, B1, body=hole, seqs={}),
        ("create"),
    )

    yield "mine at head", line().commit(C1), C1, "mine"
    yield "mine below a later version of mine", line().commit(C1).commit(C2).commit(C3), C1, "mine"
    yield "mine in the middle", line().commit(C1).commit(C2).commit(C3), C2, "mine"
    yield "mine below another stream's", rebased, C1, "mine"
    yield "mine below a restore's open", restored, C1, "mine"
    yield "mine with new partitions", line().commit(C1).commit(NEW), NEW, "mine"

    newer = line().commit(C1).open(OTHER_RUN, B1)
    yield "superseded by a newer open", newer, committable(B1, B2), "superseded"
    yield "superseded though committed before", newer, C1, "superseded"
    moved = newer.commit(committable(B1, B2, run=OTHER_RUN))
    yield "superseded and behind", moved, C2, "superseded"
    yield "superseded in a stream never opened", Line(), C1, "superseded"

    yield "rival with the same after", line().commit(C1_OTHER), C1, "rival"
    yield "rival with a longer after", line().commit(C1), committable(B0, B3), "rival"
    yield "rival behind", line().commit(C1_OTHER).commit(C2).commit(C3), C1, "rival"
    yield (
        "rival whose before was never a version",
        line().commit(C1).commit(C2),
        (committable({"0": 120, "1": 17}, B3)),
        "rival",
    )
    yield (
        "rival before the run began",
        Line().open(OTHER_RUN).commit(committable(B0, B1, run=OTHER_RUN)).open(RUN, {}),
        C1,
        "rival",
    )
    yield (
        "rival with a first partition known to head",
        line().commit(C1).commit(NEW),
        (committable(B1, B1 | {"2": 6}, first={"2": 5})),
        "rival",
    )
    yield (
        "rival that lacks a partition of head",
        line().commit(C1),
        (committable({"0": 150}, {"0": 200})),
        "rival",
    )
    yield (
        "rival ahead and behind",
        line().commit(C1),
        (committable({"0": 100, "1": 30}, {"0": 200, "1": 31})),
        "rival",
    )
    yield (
        "rival ahead with a partition unknown to head",
        line().commit(C1),
        (committable(B0 | {"2": 1}, B2 | {"2": 1})),
        "rival",
    )

    yield "gap in front", line(), C2, "gap"
    yield (
        "gap in one partition",
        line().commit(C1),
        (committable({"0": 150, "1": 18}, {"0": 200, "1": 18})),
        "gap",
    )
    yield (
        "gap of a partition unknown to head",
        line().commit(C1),
        (committable(B1 | {"2": 9}, B2 | {"2": 9})),
        "gap",
    )


def open_cases() -> Iterator[tuple[str, Line, Opening, str]]:
    """Yield (name, versions, opening, expected outcome)."""
    later = TIME_MS + 100_000
    yield "open a new stream", Line(), opening(), "create"
    yield "open a second stream", line().commit(C1), SECOND, "create"
    yield (
        "open over a run goes on from its positions and takes new partitions",
        (line().commit(C1)),
        opening(OTHER_RUN, {"0": 0, "1": 0, "10": 3, "2": 0}, time_ms=later),
        "create",
    )
    yield (
        "open keeps a partition that the source lacks",
        line().commit(C1),
        (opening(OTHER_RUN, {"0": 0}, time_ms=later)),
        "create",
    )
    yield (
        "open takes the source as it is now",
        line().commit(C1),
        (opening(OTHER_RUN, B1, source={}, time_ms=later)),
        "create",
    )
    restore = opening(RUN, B1, restored=17, submission=THIRD_RUN, time_ms=later)
    yield "open for a restore", line().commit(C1), restore, "create"
    yield (
        "open for a second restore of the same checkpoint",
        (line().commit(C1).open(RUN, B1, restored=17, submission=OTHER_RUN)),
        restore,
        "create",
    )

    yield "open found at head", line(), opening(), "found"
    yield "open found below commits", line().commit(C1).commit(C2), opening(), "found"
    yield (
        "open found below a restore of its run",
        (line().commit(C1).open(RUN, B1, restored=17, submission=THIRD_RUN)),
        opening(),
        "found",
    )
    yield "open found below another stream", second_stream(line()), opening(), "found"
    yield (
        "open found for a restore",
        (line().commit(C1).open(RUN, B1, restored=17, submission=THIRD_RUN).commit(C2)),
        restore,
        "found",
    )

    over = line().commit(C1).open(OTHER_RUN, B1)
    yield "open found and superseded", over, opening(), "superseded"
    yield "open for a restore of a superseded run", over, restore, "superseded"
    yield "open for a restore in a store without the stream", Line(), restore, "superseded"
    yield "open for a restore behind head", line().commit(C1).commit(C2), restore, "rival"
    yield "open for a restore ahead of head", line(), restore, "gap"

    contested = Line()
    for index in range(8):
        contested.open(f"{index:032x}", time_ms=TIME_MS + 1000 * index)
    newest = TIME_MS + 7000
    yield "open contested", contested, opening(time_ms=newest), "contested"
    yield (
        "open contested at the edge of the window",
        contested,
        (opening(time_ms=TIME_MS + 60_000)),
        "contested",
    )
    yield "open no longer contested", contested, opening(time_ms=TIME_MS + 60_001), "create"
    yield (
        "open contested with takeover",
        contested,
        (opening(time_ms=newest, takeover=True)),
        "create",
    )
    yield "open contested found", contested, opening(f"{7:032x}", time_ms=newest), "found"
    restores = line()
    for checkpoint in range(8):
        restores.open(RUN, B0, restored=checkpoint)
    yield "open after many restores", restores, opening(OTHER_RUN), "create"


def render(line: Line, question: dict[str, Any], expect: dict[str, Any]) -> str:
    manifests = [manifest.decode() for manifest in line.manifests]
    vector = {"manifests": manifests} | question | {"expect": expect}
    return json.dumps(vector, indent=1, ensure_ascii=True) + "\n"


def commit_vector(line: Line, data: bytes, outcome: str) -> str:
    decision = decide(line.head, line.manifests.__getitem__, Committable.parse(data))
    expect: dict[str, Any] = {"outcome": outcome, "version": None, "manifest": None}
    if isinstance(decision, StrandlineError):
        found = decision.code
    else:
        found = type(decision).__name__.lower()
        expect["version"] = decision.version
        if isinstance(decision, Create):
            expect["manifest"] = decision.manifest.decode()
    assert found == outcome, f"expected {outcome}, decided {found}: {decision}"
    return render(line, {"committable": data.decode()}, expect)


def open_vector(line: Line, wanted: Opening, outcome: str) -> str:
    decision = decide_open(line.head, line.manifests.__getitem__, wanted)
    expect: dict[str, Any] = {"outcome": outcome, "version": None, "manifest": None}
    if isinstance(decision, StrandlineError):
        found = decision.code
    else:
        found = "create" if isinstance(decision, CreateOpen) else "found"
        expect["version"] = decision.version
        if isinstance(decision, CreateOpen):
            expect["manifest"] = decision.manifest.decode()
    assert found == outcome, f"expected {outcome}, decided {found}: {decision}"
    question = {
        "stream": wanted.stream,
        "run": wanted.run,
        "key": {"restored": wanted.key.restored, "submission": wanted.key.submission},
        "positions": wanted.positions,
        "source": wanted.source,
        "time_ms": wanted.time_ms,
        "takeover": wanted.takeover,
    }
    return render(line, {"open": question}, expect)


def vectors() -> dict[str, str]:
    """Return file name -> text of every vector."""
    made: dict[str, str] = {}
    for name, line_, data, outcome in commit_cases():
        made[file_name(name)] = commit_vector(line_, data, outcome)
    for name, line_, wanted, outcome in open_cases():
        made[file_name(name)] = open_vector(line_, wanted, outcome)
    return made


def file_name(name: str) -> str:
    return name.replace("'", "").replace(" ", "_") + ".json"


def main() -> None:
    FOLDER.mkdir(exist_ok=True)
    for stale in FOLDER.glob("*.json"):
        stale.unlink()
    for name, text in vectors().items():
        (FOLDER / name).write_text(text)


if __name__ == "__main__":
    main()
