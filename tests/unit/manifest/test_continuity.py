"""Everything that makes a version not follow from the one before it is found, one by one."""

import json
from collections.abc import Callable
from typing import Any

import pytest

from strandline.encoding.canonical import canonical_json, sha256_hex
from strandline.errors import StoreDamaged
from strandline.manifest import parse_manifest
from strandline.manifest.continuity import check_follows, render_committable
from tests.golden.commit_lines import (
    B1,
    C1,
    C2,
    C3,
    NEW,
    OTHER_RUN,
    RUN,
    SECOND_COMMIT,
    THIRD_RUN,
    line,
    resealed,
    second_stream,
)

Fields = dict[str, Any]
MADE = second_stream(line().commit(C1)).commit(SECOND_COMMIT).commit(C2).commit(C3).manifests
TRAIN = len(MADE) - 1
RESTORE = line().commit(C1).open(RUN, B1, restored=17, submission=THIRD_RUN).manifests
START = line().commit(C1).open(OTHER_RUN, B1).manifests
WITH_NEW = line().commit(C1).commit(NEW).manifests


def follows(made: list[bytes], version: int, data: bytes) -> None:
    parent = made[version - 1]
    check_follows(parse_manifest(parent), sha256_hex(parent), parse_manifest(data))


@pytest.mark.parametrize("made", [MADE, RESTORE, START, WITH_NEW])
def test_what_a_commit_and_an_open_make_follows(made: list[bytes]) -> None:
    for version in range(1, len(made)):
        follows(made, version, made[version])


def recommitted(fields: Fields) -> None:
    """Give a version the committable of what it says now, as a writer with a defect would."""
    before = json.loads(MADE[TRAIN - 1])["streams"]["events"]
    after = fields["streams"]["events"]
    newest: dict[str, int] = {}
    for delta in fields["body"]["deltas"]:
        newest[str(delta["worker"])] = max(delta["seq"], newest.get(str(delta["worker"]), 0))
    fields["committable"] = sha256_hex(
        render_committable(
            after=after["positions"],
            before=before["positions"],
            body=fields["body"],
            first={},
            run=after["run"],
            seqs=newest,
            stream="events",
            time_ms=fields["time_ms"],
        )
    )


def entry(fields: Fields) -> Fields:
    found: Fields = fields["streams"]["events"]
    return found


def spans(fields: Fields) -> list[list[int]]:
    found: list[list[list[int]]] = [delta["spans"] for delta in fields["body"]["deltas"]]
    return next(filter(None, found))


def move_other_stream(fields: Fields) -> None:
    fields["streams"]["views"]["positions"]["0"] += 1


def drop_partition(fields: Fields) -> None:
    del entry(fields)["positions"]["1"]


COMMITS: dict[str, tuple[Callable[[Fields], object], str]] = {
    "parent": (lambda f: f.update(parent="0" * 64), "names the parent 000"),
    "spec": (lambda f: f.update(spec="0" * 64), "is of spec 000"),
    "other stream": (move_other_stream, "changes stream views"),
    "other stream gone": (lambda f: f["streams"].pop("views"), "changes stream views"),
    "step back": (lambda f: entry(f)["positions"].update({"0": 7}), "steps back .* from 200 to 7"),
    "partition gone": (drop_partition, "steps back in stream events, partition 1"),
    "run": (lambda f: entry(f).update(run=OTHER_RUN), "without an open of it"),
    "open": (lambda f: entry(f).update(open=2), "without an open of it"),
    "source": (lambda f: entry(f).update(source={}), "without an open of it"),
    "position": (lambda f: entry(f)["positions"].update({"0": 1260}), "its positions are"),
    "span begins late": (lambda f: spans(f)[0].__setitem__(1, 201), "expected them to begin at"),
    "span begins early": (lambda f: spans(f)[0].__setitem__(1, 199), "expected them to begin at"),
    "span ends early": (lambda f: spans(f)[0].__setitem__(2, 259), "its positions are"),
    "span turned round": (lambda f: spans(f).append([0, 260, 250]), "expected them to begin"),
    "hole": (lambda f: spans(f).append([0, 261, 270]), "events 260 to 261 .* are missing"),
    "twice": (lambda f: spans(f).append([0, 259, 260]), "events 259 to 260 .* are named twice"),
    "span of a partition that did not move": (lambda f: spans(f).append([9, 0, 1]), "positions"),
    "empty span twice": (lambda f: f["body"]["empty"].append([0, 200, 210]), "named twice"),
    "seq": (lambda f: entry(f)["seqs"].update({"0": 99}), "seqs are"),
    "seq of nobody": (lambda f: entry(f)["seqs"].update({"77": 1}), "seqs are"),
    "seq again": (lambda f: f["body"]["deltas"][0].update(seq=12), "had seq 12 before"),
}


@pytest.mark.parametrize("case", COMMITS)
def test_a_commit_that_does_not_follow(case: str) -> None:
    """Whoever made it also made its digest and its committable fit."""
    change, message = COMMITS[case]
    fields: Fields = json.loads(MADE[TRAIN])
    change(fields)
    recommitted(fields)
    with pytest.raises(StoreDamaged, match=message):
        follows(MADE, TRAIN, resealed(canonical_json(fields)))


SUMS = {
    "time": lambda f: f.update(time_ms=f["time_ms"] + 1),
    "adopted": lambda f: f["body"]["deltas"][0].update(adopted=3),
    "rows": lambda f: f["body"]["files"][0]["rows"].update({"ctr.zn": 511}),
    "log-loss": lambda f: f["body"]["prequential"]["ctr"].update(log_loss=0.2),
    "file": lambda f: f["body"]["files"][0].update(sha256="0" * 64),
}


@pytest.mark.parametrize("case", SUMS)
def test_a_commit_that_says_what_was_not_committed(case: str) -> None:
    fields: Fields = json.loads(MADE[TRAIN])
    SUMS[case](fields)
    with pytest.raises(StoreDamaged, match="its committable is"):
        follows(MADE, TRAIN, resealed(canonical_json(fields)))


OPENS: dict[str, tuple[list[bytes], Callable[[Fields], object], str]] = {
    "previous": (START, lambda f: f["body"].update(previous=None), "names the open None"),
    "start of another run": (START, lambda f: entry(f).update(run=RUN), "opens run"),
    "restore of another run": (RESTORE, lambda f: entry(f).update(run=OTHER_RUN), "did not hold"),
    "seqs": (START, lambda f: entry(f).update(seqs={}), "an open changes seqs"),
    "position": (START, lambda f: entry(f)["positions"].update({"0": 151}), "an open moves"),
}


@pytest.mark.parametrize("case", OPENS)
def test_an_open_that_does_not_follow(case: str) -> None:
    made, change, message = OPENS[case]
    fields: Fields = json.loads(made[-1])
    change(fields)
    with pytest.raises(StoreDamaged, match=message):
        follows(made, len(made) - 1, resealed(canonical_json(fields)))


def test_a_restore_of_a_stream_that_nobody_opened() -> None:
    fields: Fields = json.loads(line().manifests[1])
    fields["body"]["key"]["restored"] = 3
    with pytest.raises(StoreDamaged, match="did not hold the stream"):
        follows(MADE, 1, resealed(canonical_json(fields)))


@pytest.mark.parametrize("version", [0, 1, TRAIN], ids=["genesis", "open", "train"])
def test_every_flipped_bit_of_a_manifest_is_noticed(version: int) -> None:
    sound = MADE[version]
    unnoticed = []
    for bit in range(8 * len(sound)):
        altered = bytearray(sound)
        altered[bit // 8] ^= 1 << bit % 8
        try:
            parse_manifest(bytes(altered))
        except StoreDamaged:
            continue
        unnoticed.append(bit)
    assert not unnoticed
