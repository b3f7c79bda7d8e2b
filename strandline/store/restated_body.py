"""The body of a commit in columns: what of it does not follow from what is known before."""

from typing import Any, Final, NamedTuple

from strandline.store.columns import Columns

_SUMS: Final = ("labels", "log_loss", "predictions", "squared_error")


class Known(NamedTuple):
    """What is known of a commit before its body.

    `positions` and `seqs` are where its stream stood before; both go along with what is read.
    `before` is the body of the version before it, whatever that is.
    """

    version: int
    time_ms: int
    positions: dict[int, int]
    seqs: dict[int, int]
    before: dict[str, Any]


def restate_body(c: Columns, body: Any, known: Known) -> dict[str, Any]:
    """Put a body into columns, or get it back, see `Columns`; return the body."""
    checkpoint = known.before.get("checkpoint")
    following = None if checkpoint is None else checkpoint + 1
    checkpoint = c.value("checkpoint", body["checkpoint"], following)
    deltas: list[dict[str, Any]] = []
    for delta in c.each("deltas", body["deltas"]):
        deltas.append(_delta(c, delta, known, deltas[-1]["worker"] + 1 if deltas else 0))
    counts = {
        name: c.number(name, body["counts"][name], sum(delta[name] for delta in deltas))
        for name in ("events", "learned", "rejected")
    }
    refused = c.number(
        "refused events", body["counts"]["refused"],
        counts["events"] - counts["learned"] - counts["rejected"],
    )  # fmt: skip
    return {
        "checkpoint": checkpoint,
        "counts": counts | {"refused": refused},
        "deltas": deltas,
        "empty": _spans(c, body["empty"], known.positions, "empty"),
        "event_time_ms": _event_time_ms(c, body["event_time_ms"], known),
        "files": _files(c, body["files"], known, deltas),
        "prequential": _prequential(c, body["prequential"], known, counts["learned"]),
        "rejects": _rejects(c, body["rejects"]),
    }


def _delta(c: Columns, delta: Any, known: Known, next_worker: int) -> dict[str, Any]:
    worker = c.number("worker", delta["worker"], next_worker)
    seq = known.seqs[worker] = c.number("seq", delta["seq"], known.seqs.get(worker, 0) + 1)
    spans = _spans(c, delta["spans"], known.positions, str(worker))
    events = c.number("delta events", delta["events"], sum(end - at for _, at, end in spans))
    rejected = c.number("delta rejected", delta["rejected"])
    refused = c.value("refused", delta["refused"], None)
    learned = 0 if refused is not None else events - rejected
    return {
        "adopted": c.number("adopted", delta["adopted"], known.version - 1),
        "events": events,
        "learned": c.number("delta learned", delta["learned"], learned),
        "pending": [
            c.number("seq pending", own, seq - 1) for own in c.each("pending", delta["pending"])
        ],
        "refused": refused,
        "rejected": rejected,
        "seq": seq,
        "spans": spans,
        "worker": worker,
    }


def _spans(c: Columns, spans: Any, positions: dict[int, int], whose: str) -> list[list[int]]:
    """A worker's partitions come in much the same order, each from where it stood."""
    found: list[list[int]] = []
    for span in c.each(f"spans {whose}", spans):
        last = c.memory.get(whose, 0)
        partition = c.number(f"partition {whose}", span[0], c.memory.get((whose, last), last))
        c.memory[whose] = c.memory[whose, last] = partition
        begin = c.number("begin", span[1], positions.get(partition, 0))
        end = positions[partition] = c.number(f"length {whose}", span[2], begin)
        found.append([partition, begin, end])
    return found


def _event_time_ms(c: Columns, times: Any, known: Known) -> list[int]:
    before = known.before.get("event_time_ms", (0, 0))[1]
    return [
        c.number("first time", times[0], before),
        c.number("last time", times[1], known.time_ms),
    ]


def _files(
    c: Columns, files: Any, known: Known, deltas: list[dict[str, Any]]
) -> list[dict[str, Any]]:
    made = known.before.get("files") or [{}]
    merged = {str(delta["worker"]): delta["seq"] for delta in deltas if delta["refused"] is None}
    found: list[dict[str, Any]] = []
    for file in c.each("files", files):
        shard = c.number("shard", file["shard"], len(found))
        tables = c.value("tables", sorted(file["rows"]), sorted(made[0].get("rows", ())))
        found.append(
            {
                "bytes": c.number(f"bytes {shard}", file["bytes"]),
                "replica": c.number("replica", file["replica"], known.version - 1),
                "rows": {
                    name: c.number(f"rows {shard} {name}", file["rows"][name]) for name in tables
                },
                "seqs": c.value("seqs", file["seqs"], merged),
                "sha256": c.digest("file", file["sha256"]),
                "shard": shard,
                "shards": c.number("shards", file["shards"], made[0].get("shards", 1)),
                "time_ms": c.number("merged", file["time_ms"], known.time_ms),
            }
        )
    return found


def _prequential(c: Columns, sums: Any, known: Known, learned: int) -> dict[str, Any]:
    names = c.value("learners", sorted(sums), sorted(known.before.get("prequential", ())))
    found: dict[str, Any] = {}
    for name in names:
        of = sums[name]
        events = c.number(f"predicted {name}", of["events"], learned)
        found[name] = {
            "events": events,
            "weight": c.real(f"weight {name}", of["weight"], float(events)),
            **{key: c.real(f"{key} {name}", of[key]) for key in _SUMS},
        }
    return found


def _rejects(c: Columns, rejects: Any) -> dict[str, Any]:
    reasons = c.value("reasons", rejects["reasons"], {})
    files = [
        {
            "bytes": c.number("reject bytes", file["bytes"]),
            "sha256": c.digest("reject file", file["sha256"]),
        }
        for file in c.each("reject files", [rejects["file"]] if rejects["file"] else [])
    ]
    return {"file": files[0] if files else None, "reasons": reasons}
