"""What a store agent answers: that a repeated question is safe is tested with real agents."""

import json
from pathlib import Path

import msgspec
import pytest

from strandline.commit.agent_calls import CheckInForce, Commit
from strandline.commit.prepared import Prepared
from strandline.encoding.canonical import sha256_hex
from strandline.errors import StoreDamaged, Superseded
from strandline.manifest import Span, TrainBody
from strandline.store import PosixStore
from tests.golden.commit_lines import B0, OTHER_RUN, RUN, TIME_MS, line, train_body

CHECKPOINT = 17


def store_of(folder: Path, manifests: list[bytes]) -> PosixStore:
    store = PosixStore(folder)
    store.make_folders()
    store.stage("spec", b"a spec")
    store.stage("delta", b"a delta")
    store.stage("rejects", b"the rejects")
    for version, manifest in enumerate(manifests):
        store.append(version, manifest)
    return store


def commit_of(restored: int | None) -> Commit:
    spans = [(0, 100, 150), (1, 7, 17)]
    prepared = Prepared(
        run=RUN,
        start=1,
        moves=tuple(Span(*span) for span in spans),
        seqs={"0": 12},
        time_ms=TIME_MS,
        body=msgspec.json.decode(json.dumps(train_body(spans=spans)), type=TrainBody),
    )
    text = prepared.encode().decode()
    return Commit(stream="events", before=B0, prepared=text, restored=restored)


@pytest.mark.parametrize("restored", [CHECKPOINT, CHECKPOINT + 1])
def test_files_that_an_earlier_life_prepared_are_read_again(restored: int, tmp_path: Path) -> None:
    """Of the same length, altered: only the digest tells."""
    store = store_of(tmp_path, line().manifests)
    delta = tmp_path / "deltas" / f"{sha256_hex(b'a delta')}.safetensors"
    delta.write_bytes(b"A delta")
    with pytest.raises(StoreDamaged, match="was lost before its commit"):
        commit_of(restored).answer(store)
    assert store.head() == 1
    delta.write_bytes(b"a delta")
    answer = commit_of(restored).answer(store)
    assert answer is not None
    assert (answer["version"], answer["mine"]) == (2, False)


@pytest.mark.parametrize("restored", [None, CHECKPOINT - 1])
def test_files_of_this_life_are_looked_at_by_their_length(
    restored: int | None, tmp_path: Path
) -> None:
    store = store_of(tmp_path, line().manifests)
    (tmp_path / "deltas" / f"{sha256_hex(b'a delta')}.safetensors").write_bytes(b"a delta, longer")
    with pytest.raises(StoreDamaged, match="was lost before its commit"):
        commit_of(restored).answer(store)
    assert store.head() == 1


def test_an_idle_run_learns_that_another_one_holds_the_stream(tmp_path: Path) -> None:
    made = line()
    store = store_of(tmp_path, made.manifests)
    idle = CheckInForce(stream="events", run=RUN, head=0)
    assert idle.answer(store) == {"head": 1}
    store.append(2, made.open(OTHER_RUN).manifests[2])
    with pytest.raises(Superseded, match=f"held by run {OTHER_RUN}"):
        idle.answer(store)
