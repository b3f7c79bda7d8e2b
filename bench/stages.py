"""Where a worker's time goes: nanoseconds of processor time per event and stage, on one core.

Blocks of 2 MiB as the source sends them go through a worker on a store in memory. `worker` is all
of it for a block; `block`, `decode`, `learn` and `sums` are its parts, `scan` is the part of
`decode` in compiled code; `mark` makes the delta and takes it into the worker's own state,
`encode` writes it for the wire. `plain` is the decoder that rows which the kernel leaves go to,
for comparison. Thread time, so that other work on the machine counts for little.
"""

import time
from argparse import Namespace
from collections import defaultdict
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from itertools import pairwise
from typing import Any, Final
from unittest import mock
from uuid import UUID

import numpy as np

from bench import events as ads
from bench.figures import summary
from bench.output import cell, finish, parser, progress, table
from strandline.commit.opening import Opening, append_open
from strandline.events.block import Block, Mark
from strandline.events.records import Records
from strandline.features import Decoder, PlainDecoder, decoder
from strandline.learners.ftrl import Ftrl
from strandline.learning.epoch import Epoch
from strandline.learning.worker import Worker
from strandline.manifest import OpenKey, Span
from strandline.spec import Spec
from strandline.store import create_store
from strandline_flink.dev.events import EventStream, clicks_spec
from strandline_flink.operators import wire

BLOCK_BYTES: Final = 2 << 20
STAGES: Final = ("block", "scan", "decode", "learn", "sums", "worker", "mark", "encode", "plain")


def ad_events(count: int) -> list[bytes]:
    return b"".join(ads.lines(count)).split(b"\n")[:-1]


def click_events(count: int) -> list[bytes]:
    return EventStream(1).events(0, count)


WORLDS: Final[dict[str, tuple[str, Callable[[int], list[bytes]]]]] = {
    "ads": (ads.SPEC, ad_events),
    "clicks": (clicks_spec(), click_events),
}
"""Name of the events: their spec, and how to make them."""


def blocks(events: list[bytes]) -> list[bytes]:
    """Return the events as elements of the wire."""
    cuts = np.flatnonzero(np.diff(np.cumsum([len(e) + 12 for e in events]) // BLOCK_BYTES)) + 1
    bounds = [0, *cuts.tolist(), len(events)]
    return [
        wire.encode_block(
            Block(0, first, end, np.arange(first, end), Records.of(events[first:end]), 1, 2)
        )
        for first, end in pairwise(bounds)
    ]


class Clock:
    """Adds up the thread time of calls by stage."""

    def __init__(self) -> None:
        self.spent_ns: dict[str, int] = defaultdict(int)

    def timed(self, stage: str, function: Callable[..., Any]) -> Callable[..., Any]:
        def measured(*args: Any, **options: Any) -> Any:
            begun_ns = time.thread_time_ns()
            answer = function(*args, **options)
            self.spent_ns[stage] += time.thread_time_ns() - begun_ns
            return answer

        return measured

    @contextmanager
    def watching(self) -> Iterator[None]:
        """Time the stages inside a worker."""
        places = ((Decoder, "decode", "decode"), (Ftrl, "learn", "learn"),
                  (Epoch, "add_up", "sums"), (decoder, "decode_rows", "scan"))  # fmt: skip
        patches = [
            mock.patch.object(owner, name, self.timed(stage, getattr(owner, name)))
            for owner, name, stage in places
        ]
        for patch in patches:
            patch.start()
        try:
            yield
        finally:
            for patch in patches:
                patch.stop()


def started(spec: Spec) -> Worker:
    """Return a worker at the beginning of a new store."""
    store = create_store("memory:", spec)
    run = UUID(int=1).hex
    key = OpenKey(restored=None, submission=run)
    version = append_open(
        store, Opening("events", run=run, key=key, positions={"0": 0}, source={}, time_ms=1)
    )
    worker = Worker(store, "events", 0)
    worker.start(run, version)
    return worker


def run_epoch(worker: Worker, elements: list[bytes], count: int) -> dict[str, float]:
    """Return ns per event and stage of one epoch, which the worker then forgets."""
    clock = Clock()
    decode_block = clock.timed("block", wire.decode_block)
    learn = clock.timed("worker", worker.learn)
    with clock.watching():
        for element in elements:
            learn(decode_block(element))
    delta = clock.timed("mark", worker.mark)(Mark(None, (Span(0, 0, count),)))
    clock.timed("encode", delta.encode)()
    worker.forget(0)
    clock.spent_ns["worker"] += clock.spent_ns["block"]
    return {stage: spent_ns / count for stage, spent_ns in clock.spent_ns.items()}


def measure(name: str, args: Namespace) -> dict[str, Any]:
    text, make = WORLDS[name]
    spec, events = Spec.parse(text), make(args.events)
    elements = blocks(events)
    _, _, left = Decoder(spec).decode_counted(events)
    worker, plain = started(spec), PlainDecoder(spec)
    found: dict[str, list[float]] = defaultdict(list)
    for turn in range(args.runs + 1):
        figures = run_epoch(worker, elements, len(events))
        few, clock = events[: len(events) // 20], Clock()
        clock.timed("plain", plain.decode)(few)
        figures["plain"] = clock.spent_ns["plain"] / len(few)
        if turn:  # the first one touches fresh memory
            for stage, value in figures.items():
                found[stage].append(value)
        progress(f"{name}: worker {figures['worker']:.0f} ns per event")
    return {
        "events": len(events),
        "event_bytes": sum(map(len, events)) / len(events),
        "left_to_plain_share": left / len(events),
        "stages_ns": {stage: summary(found[stage]) for stage in STAGES},
        "events_per_s_of_a_core": summary([1e9 / value for value in found["worker"]]),
    }


def main() -> None:
    arguments = parser(__doc__)
    arguments.add_argument("--events", type=int, default=200_000, help="events per epoch")
    arguments.add_argument("--runs", type=int, default=5, help="epochs measured")
    args = arguments.parse_args()
    if args.brief:
        args.events, args.runs = 10_000, 1
    result = {name: measure(name, args) for name in WORLDS}
    rows = [
        [stage, *(cell(result[name]["stages_ns"][stage]) for name in WORLDS)] for stage in STAGES
    ]
    rows.append(
        ["events/s of one core", *(cell(result[n]["events_per_s_of_a_core"]) for n in WORLDS)]
    )
    rows.append(
        ["left to the plain decoder", *(f"{result[n]['left_to_plain_share']:.2%}" for n in WORLDS)]
    )
    finish("stages", result, table(["ns per event", *WORLDS], rows), args)


if __name__ == "__main__":
    main()
