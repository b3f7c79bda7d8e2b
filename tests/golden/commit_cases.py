"""What is asked of a commit: name, versions, committable, expected outcome."""

from collections.abc import Iterator
from typing import TypeAlias

from tests.golden.commit_lines import (
    B0,
    B1,
    B2,
    B3,
    C1,
    C1_OTHER,
    C2,
    C3,
    NEW,
    OTHER_RUN,
    RUN,
    SECOND_COMMIT,
    THIRD_RUN,
    Line,
    committable,
    line,
    second_stream,
)

CommitCase: TypeAlias = tuple[str, Line, bytes, str]


def commit_cases() -> Iterator[CommitCase]:
    """Yield all of them."""
    yield from created()
    yield from mine()
    yield from superseded()
    yield from rivals()
    yield from gaps()


def created() -> Iterator[CommitCase]:
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
        committable(B1, B2, run=OTHER_RUN, seqs={"0": 13}),
        ("create"),
    )
    yield "create with new partitions", line().commit(C1), NEW, "create"
    yield (
        "create with a first partition without events",
        line().commit(C1),
        (committable(B1, B1 | {"2": 5}, first={"2": 5}, seqs={"0": 13})),
        "create",
    )
    empty = Line().open(RUN, {}, source={})
    yield (
        "create the first partition of an empty stream",
        empty,
        (committable({}, {"0": 3}, first={"0": 0}, seqs={})),
        "create",
    )
    yield (
        "create over a hole without events",
        line(),
        committable(B0, B1, seqs={}),
        ("create"),
    )


def mine() -> Iterator[CommitCase]:
    rebased = second_stream(line().commit(C1)).commit(SECOND_COMMIT)
    restored = line().commit(C1).open(RUN, B1, restored=17, submission=THIRD_RUN)
    yield "mine at head", line().commit(C1), C1, "mine"
    yield "mine below a later version of mine", line().commit(C1).commit(C2).commit(C3), C1, "mine"
    yield "mine in the middle", line().commit(C1).commit(C2).commit(C3), C2, "mine"
    yield "mine below another stream's", rebased, C1, "mine"
    yield "mine below a restore's open", restored, C1, "mine"
    yield "mine with new partitions", line().commit(C1).commit(NEW), NEW, "mine"


def superseded() -> Iterator[CommitCase]:
    newer = line().commit(C1).open(OTHER_RUN, B1)
    yield "superseded by a newer open", newer, committable(B1, B2), "superseded"
    yield "superseded though committed before", newer, C1, "superseded"
    moved = newer.commit(committable(B1, B2, run=OTHER_RUN, seqs={"0": 13}))
    yield "superseded and behind", moved, C2, "superseded"
    yield "superseded in a stream never opened", Line(), C1, "superseded"


def rivals() -> Iterator[CommitCase]:
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


def gaps() -> Iterator[CommitCase]:
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
