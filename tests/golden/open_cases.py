"""What is asked of an open: name, versions, opening, expected outcome."""

from collections.abc import Iterator
from dataclasses import replace
from typing import TypeAlias

from strandline.commit.opening import Opening
from tests.golden.commit_lines import (
    B0,
    B1,
    C1,
    C2,
    OTHER_RUN,
    RUN,
    SECOND,
    SOURCE,
    THIRD,
    THIRD_RUN,
    TIME_MS,
    Line,
    committable,
    line,
    opening,
    second_stream,
)

LATER = TIME_MS + 100_000
RESTORE = opening(RUN, B1, restored=17, submission=THIRD_RUN, time_ms=LATER)
OpenCase: TypeAlias = tuple[str, Line, Opening, str]


def open_cases() -> Iterator[OpenCase]:
    """Yield all of them."""
    yield from created()
    yield from found()
    yield from refused()
    yield from contested()
    yield from one_stream()
    yield from topic_again()


def created() -> Iterator[OpenCase]:
    yield "open a new stream", Line(), opening(), "create"
    yield "open a second stream", line().commit(C1), SECOND, "create"
    yield (
        "open a second stream of a topic of the same name and id in another cluster",
        line().commit(C1),
        replace(SECOND, source=SOURCE | {"cluster": "YmFy"}),
        "create",
    )
    yield (
        "open a second stream of a topic created anew",
        line().commit(C1),
        replace(SECOND, source=SOURCE | {"topic_id": "YmFy"}),
        "create",
    )
    yield "open a second stream of the same file", second_stream(line()), THIRD, "create"
    yield (
        "open over a run goes on from its positions and takes new partitions",
        (line().commit(C1)),
        opening(OTHER_RUN, {"0": 0, "1": 0, "10": 3, "2": 0}, time_ms=LATER),
        "create",
    )
    yield (
        "open keeps a partition that the source lacks",
        line().commit(C1),
        (opening(OTHER_RUN, {"0": 0}, time_ms=LATER)),
        "create",
    )
    yield (
        "open takes the source as it is now",
        line().commit(C1),
        (opening(OTHER_RUN, B1, source={}, time_ms=LATER)),
        "create",
    )
    yield "open for a restore", line().commit(C1), RESTORE, "create"
    yield (
        "open for a second restore of the same checkpoint",
        (line().commit(C1).open(RUN, B1, restored=17, submission=OTHER_RUN)),
        RESTORE,
        "create",
    )


def found() -> Iterator[OpenCase]:
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
        RESTORE,
        "found",
    )


def refused() -> Iterator[OpenCase]:
    over = line().commit(C1).open(OTHER_RUN, B1)
    yield "open found and superseded", over, opening(), "superseded"
    yield "open for a restore of a superseded run", over, RESTORE, "superseded"
    yield "open for a restore in a store without the stream", Line(), RESTORE, "superseded"
    yield "open for a restore behind head", line().commit(C1).commit(C2), RESTORE, "rival"
    yield "open for a restore ahead of head", line(), RESTORE, "gap"


def contested_line() -> Line:
    taken = Line()
    for index in range(8):
        taken.open(f"{index:032x}", time_ms=TIME_MS + 1000 * index)
    return taken


def contested() -> Iterator[OpenCase]:
    taken = contested_line()
    newest = TIME_MS + 7000
    yield "open contested", taken, opening(time_ms=newest), "contested"
    yield (
        "open contested at the edge of the window",
        taken,
        (opening(time_ms=TIME_MS + 60_000)),
        "contested",
    )
    yield "open no longer contested", taken, opening(time_ms=TIME_MS + 60_001), "create"
    yield (
        "open contested with takeover",
        taken,
        (opening(time_ms=newest, takeover=True)),
        "create",
    )
    yield "open contested found", taken, opening(f"{7:032x}", time_ms=newest), "found"
    yield "open after a clock was ahead", taken, opening(time_ms=newest - 1), "create"
    yield from not_contested(newest)
    restores = line()
    for checkpoint in range(8):
        restores.open(RUN, B0, restored=checkpoint)
    yield "open after many restores", restores, opening(OTHER_RUN), "create"


def not_contested(newest: int) -> Iterator[OpenCase]:
    """A start that got somewhere is no rival of the next one."""
    for at, name in ((2, "between the first two"), (9, "after the newest")):
        moving = Line()
        for index in range(8):
            run = f"{index:032x}"
            moving.open(run, time_ms=TIME_MS + 1000 * index)
            if moving.head == at - 1 or (at == 9 and index == 7):
                moving.commit(committable(B0, B1, run=run))
        yield (
            f"open after eight starts with a commit {name}",
            moving,
            opening(time_ms=newest),
            ("create"),
        )
    long = contested_line().commit(committable(B0, B1, run=f"{7:032x}"))
    for index in range(8, 16):
        long.open(f"{index:032x}", B1, time_ms=newest)
    yield "open contested above an older commit", long, opening(time_ms=newest), "contested"


def one_stream() -> Iterator[OpenCase]:
    tables = ("last.rows", "trend.rows")
    second = opening(OTHER_RUN, {"0": 5}, stream="views", one_stream=tables)
    yield "open of one stream alone", Line(), opening(one_stream=tables), "create"
    yield (
        "open of one stream goes on",
        line().commit(C1),
        opening(OTHER_RUN, B1, time_ms=LATER, one_stream=tables),
        "create",
    )
    yield "open refused as a second stream", line().commit(C1), second, "second_stream"
    both = second_stream(line().commit(C1))
    yield "open found beside a second stream", both, second, "found"
    over = second_stream(line()).open(THIRD_RUN, stream="views")
    yield "open superseded beside a second stream", over, second, "superseded"
    yield (
        "open for a restore refused as a second stream before it is a rival",
        second_stream(line().commit(C1).commit(C2)),
        replace(RESTORE, one_stream=tables),
        "second_stream",
    )
    yield (
        "open refused as a second stream before it is contested",
        second_stream(contested_line()),
        opening(time_ms=TIME_MS + 7000, one_stream=tables),
        "second_stream",
    )


def topic_again() -> Iterator[OpenCase]:
    again = replace(SECOND, source=SOURCE)
    beside = line().commit(C1).open(OTHER_RUN, {"0": 5}, stream="views", topic_again=True)
    yield "open of a topic that another stream reads", line().commit(C1), again, "topic_taken"
    yield (
        "open of a topic that another stream reads is wanted",
        line().commit(C1),
        replace(again, topic_again=True),
        "create",
    )
    yield "open of a topic that another stream reads found", beside, again, "found"
    yield (
        "open of a stream that goes on beside another one of its topic",
        beside,
        opening(THIRD_RUN, B1, time_ms=LATER),
        "create",
    )
    yield "open for a restore beside another stream of its topic", beside, RESTORE, "create"
    yield (
        "open for a restore of a stream that the store does not know is superseded",
        line().commit(C1),
        replace(RESTORE, stream="views"),
        "superseded",
    )
    yield (
        "open refused as a second stream before its topic is taken",
        line().commit(C1),
        replace(again, one_stream=("last.rows",)),
        "second_stream",
    )
