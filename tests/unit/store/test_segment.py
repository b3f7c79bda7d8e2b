"""Segments: small, byte for byte what was packed, and harmless whatever is in them."""

import json
import lzma
import os
import random
import time
from collections.abc import Iterator
from pathlib import Path

import pytest

from bench.epochs import Epochs
from strandline.commit.committable import Committable
from strandline.commit.committing import Create, decide
from strandline.encoding.canonical import canonical_json, sha256_hex
from strandline.errors import StoreDamaged
from strandline.learners.loading import make_learners, schemas_of
from strandline.spec import Spec
from strandline.store import MemoryStore, PosixStore, columns, files, posix, segment, versions
from strandline.store.columns import NOTHING, Columns, Reading, Writing, put_number
from strandline.store.segment import BLOCK_VERSIONS_MAX, Segment, segment_parts
from strandline.upkeep.fsck import check_store
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
    Line,
    committable,
    line,
    second_stream,
    train_body,
)

SPEC = Spec.parse("""
name = "scale"
label.path = "click"
features.item.kind = "category"
learners.popularity = {type = "counts", feature = "item"}
""")
PARTITIONS, WORKERS = 64, 16


def long_line(count: int) -> list[bytes]:
    """So many versions as a job of 64 partitions and 16 workers writes them."""
    store, made = MemoryStore(), Line()
    store.stage("spec", SPEC.to_json())
    epochs = Epochs(PARTITIONS, WORKERS, RUN)
    made.open(RUN, dict(epochs.positions))
    schemas = schemas_of(make_learners(SPEC))
    for each in epochs.committables(store, schemas, made.head + 1):
        made.commit(each)
        if len(made.manifests) == count:
            return made.manifests
    raise AssertionError("epochs do not end")


MADE = long_line(320)


def write(path: Path, manifests: list[bytes]) -> Path:
    path.write_bytes(b"".join(segment_parts(0, len(manifests), manifests.__getitem__)))
    return path


def read(path: Path, count: int) -> list[bytes]:
    found = Segment(path, 0, count)
    return [found.manifest(version) for version in range(count)]


def test_a_day_of_a_fast_job_takes_less_than_100_mb(tmp_path: Path) -> None:
    """5 versions a second; each says where 64 partitions stand and what 16 workers did."""
    path = write(tmp_path / "segment", MADE[20:])
    each_bytes = path.stat().st_size / len(MADE[20:])
    assert 5 * 86_400 * each_bytes < 85e6, "what is not packed yet takes the rest"
    assert sum(map(len, MADE[20:])) > 20 * path.stat().st_size


def test_every_version_comes_back_byte_for_byte(tmp_path: Path) -> None:
    path = write(tmp_path / "segment", MADE)
    assert read(path, len(MADE)) == MADE
    order = list(range(len(MADE)))
    random.Random(1).shuffle(order)
    found = Segment(path, 0, len(MADE))
    assert all(found.manifest(version) == MADE[version] for version in order[:30])


def strange_lines() -> Iterator[tuple[str, Line]]:
    """What seldom happens: each is no commit like the one before it."""
    yield "commits", line().commit(C1).commit(C2).commit(C3)
    yield "new partitions", line().commit(C1).commit(NEW)
    yield "a start in between", line().commit(C1).open(OTHER_RUN, B1)
    restored = line().commit(C1).open(RUN, B1, restored=17, submission=THIRD_RUN)
    yield "a restore in between", restored.commit(C2)
    yield "two streams", second_stream(line()).commit(C1).commit(SECOND_COMMIT).commit(C2)
    body = train_body()
    body["files"] = []
    body["prequential"] = {
        name: body["prequential"]["ctr"] | {"log_loss": value, "labels": -0.0}
        for name, value in (("a", None), ("b", 3.0), ("c", 1e300), ("d", 0.0))
    }
    body["checkpoint"] = None
    yield "other figures", line().commit(committable({"0": 100, "1": 7}, B1, body=body))
    body = train_body(seqs={"0": 12, "3": 9})
    body["deltas"][1] |= {"refused": "not finite", "pending": [7, 8], "adopted": 1}
    body["files"] = [body["files"][0] | {"shard": n, "shards": 3} for n in (0, 2, 2)]
    yield (
        "a refused delta, several shards",
        line().commit(committable({"0": 100, "1": 7}, B1, seqs={"0": 12, "3": 9}, body=body)),
    )


@pytest.mark.parametrize(
    ("name", "made"), [*strange_lines()], ids=[name for name, _ in strange_lines()]
)
def test_whatever_a_line_says_comes_back(tmp_path: Path, name: str, made: Line) -> None:
    path = write(tmp_path / name, made.manifests)
    assert read(path, len(made.manifests)) == made.manifests


def test_random_commits_come_back(tmp_path: Path) -> None:
    rng = random.Random(7)
    made, at = line(), {"0": 100, "1": 7}
    while len(made.manifests) < 150:
        after = {p: end + rng.choice([0, 1, 1000, 1 << 40]) for p, end in at.items()}
        first = {}
        if rng.random() < 0.2:
            first = {str(len(at)): rng.randrange(9)}
            after |= {name: begin + rng.randrange(3) for name, begin in first.items()}
        seqs = {str(n): len(made.manifests) + rng.randrange(3) for n in range(rng.randrange(4))}
        data = committable(at, after, first=first, seqs=seqs)
        wanted = Committable.parse(data) if after != at else None
        if wanted is None:
            continue
        decision = decide(made.head, made.manifests.__getitem__, wanted)
        if isinstance(decision, Create):
            made.manifests.append(decision.manifest)
            at = after
    path = write(tmp_path / "segment", made.manifests)
    assert read(path, len(made.manifests)) == made.manifests


def test_a_version_that_follows_from_nothing_is_kept_whole(tmp_path: Path) -> None:
    strange = [MADE[0], MADE[7], MADE[7], MADE[2], b'{"any":["thing",1.5,null]}', MADE[9]]
    assert read(write(tmp_path / "segment", strange), len(strange)) == strange


def test_one_altered_bit_costs_its_block_and_nothing_else(tmp_path: Path) -> None:
    path = write(tmp_path / "segment", MADE)
    good = path.read_bytes()
    header = json.loads(good.partition(b"\n")[0])
    begin = good.index(b"\n") + 1
    assert [count for count, *_ in header["blocks"]] == [BLOCK_VERSIONS_MAX] * 3 + [20]
    rng = random.Random(3)
    ends = [begin]
    for _, length, _ in header["blocks"]:
        ends.append(ends[-1] + length)
    for at in [begin, *sorted(rng.sample(range(begin, len(good)), 30)), len(good) - 1]:
        path.write_bytes(good[:at] + bytes([good[at] ^ 1 << rng.randrange(8)]) + good[at + 1 :])
        found = Segment(path, 0, len(MADE))
        for number in range(len(header["blocks"])):
            version = BLOCK_VERSIONS_MAX * number
            if ends[number] <= at < ends[number + 1]:
                with pytest.raises(StoreDamaged, match=f"holds versions {version} to .* restore"):
                    found.manifest(version)
            else:
                assert found.manifest(version) == MADE[version]


def test_an_altered_header_is_damage(tmp_path: Path) -> None:
    made = line().commit(C1).manifests
    path = write(tmp_path / "segment", made)
    good = path.read_bytes()
    for at in range(good.index(b"\n") + 1):
        for bit in range(8):
            path.write_bytes(good[:at] + bytes([good[at] ^ 1 << bit]) + good[at + 1 :])
            with pytest.raises(StoreDamaged):
                Segment(path, 0, len(made)).check()


@pytest.fixture
def packed(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> PosixStore:
    """A store whose first 150 versions are a segment."""
    monkeypatch.setattr(versions, "VERSIONS_PER_FOLDER", 150)
    store = PosixStore(tmp_path / "store")
    store.make_folders()
    for version, manifest in enumerate(MADE):
        store.append(version, manifest)
    monkeypatch.setattr(posix, "VERSIONS_UNPACKED_MIN", 30)
    assert store.pack() == 1
    return store


def test_checking_a_segment_with_a_late_altered_byte_ends(packed: PosixStore) -> None:
    path = packed.root / "versions/0000000"
    data = bytearray(path.read_bytes())
    data[-9] ^= 1
    path.write_bytes(data)
    started = time.perf_counter()
    damages = {each.what for each in check_store(packed).damages}
    assert time.perf_counter() - started < 30
    assert {f"version {n}" for n in range(100, 150)} <= damages
    assert "version 99" not in damages


@pytest.mark.parametrize("left_bytes", [0, 10, 300, 5000])
def test_a_segment_that_is_cut_under_a_reader_is_damage_and_no_signal(
    packed: PosixStore, left_bytes: int
) -> None:
    assert packed.manifest(3) == MADE[3]
    os.truncate(packed.root / "versions/0000000", left_bytes)
    assert packed.manifest(99) == MADE[99], "of the block at hand"
    with pytest.raises(StoreDamaged, match="the file was cut"):
        packed.manifest(120)
    with pytest.raises(StoreDamaged):
        PosixStore(packed.root).manifest(3)


def test_a_version_is_read_without_the_other_blocks(packed: PosixStore) -> None:
    read_bytes = []
    real = files.read_at

    def counted(descriptor: int, begin: int, length: int) -> bytes:
        data = real(descriptor, begin, length)
        read_bytes.append(len(data))
        return data

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(segment, "read_at", counted)
        store = PosixStore(packed.root)
        assert store.manifest(120) == MADE[120]
        del read_bytes[0]  # of the header
        assert store.manifest(149) == MADE[149]
    assert len(read_bytes) == 1
    assert read_bytes[0] < (packed.root / "versions/0000000").stat().st_size / 2


def hostile(path: Path, block: bytes, count: int = 2) -> Segment:
    header = {"blocks": [[count, len(block), "0" * 64]], "first": 0, "format": 1}
    path.write_bytes(canonical_json(header) + b"\n" + block)
    return Segment(path, 0, count)


def compressed(plain: bytes) -> bytes:
    head = bytearray()
    filters = [{"id": lzma.FILTER_LZMA2, "dict_size": 1 << 20}]
    data = lzma.compress(plain, format=lzma.FORMAT_XZ, check=lzma.CHECK_NONE, filters=filters)
    put_number(head, len(data))
    return bytes(head) + data


def test_a_block_that_swells_is_refused(tmp_path: Path) -> None:
    bomb = compressed(bytes(1 << 28))
    assert len(bomb) < 1 << 17
    with pytest.raises(StoreDamaged, match="holds more than"):
        hostile(tmp_path / "segment", bomb).manifest(0)


def test_a_block_whose_reader_needs_much_memory_is_refused(tmp_path: Path) -> None:
    filters = [{"id": lzma.FILTER_LZMA2, "dict_size": 1 << 28}]
    data = lzma.compress(b"x", format=lzma.FORMAT_XZ, check=lzma.CHECK_NONE, filters=filters)
    head = bytearray()
    put_number(head, len(data))
    with pytest.raises(StoreDamaged, match="Memory usage limit"):
        hostile(tmp_path / "segment", bytes(head) + data).manifest(0)


def test_a_block_that_counts_more_than_it_holds_is_refused(tmp_path: Path) -> None:
    columns_ = Writing()
    columns_.number("how", 0)
    columns_.value("whole", json.loads(MADE[20]), None)
    columns_.number("how", 1)
    columns_.value("stream", "events", "events")
    columns_.number("time_ms", 0)
    columns_.value("checkpoint", None, None)
    columns_.number("deltas", 0)
    for name in ("events", "learned", "rejected", "refused events", "spans empty", "first time"):
        columns_.number(name, 0)
    columns_.number("last time", 0)
    columns_.number("files", 1 << 40)
    with pytest.raises(StoreDamaged, match="ends early"):
        hostile(tmp_path / "segment", columns_.packed()).manifest(0)


def test_a_block_that_makes_longer_manifests_than_allowed_is_refused(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    path = write(tmp_path / "segment", MADE[:90])
    found = Segment(path, 0, 90)
    monkeypatch.setattr(segment, "MANIFEST_BYTES_MAX", 100_000)
    with pytest.raises(StoreDamaged, match="its manifests have more than 100000 bytes"):
        found.manifest(0)


@pytest.mark.parametrize("seed", range(200))
def test_noise_in_a_block_is_damage(tmp_path: Path, seed: int) -> None:
    rng = random.Random(seed)
    plain = bytearray()
    lengths = [rng.randrange(20) for _ in range(rng.randrange(1, 30))]
    put_number(plain, len(lengths))
    for length in lengths:
        put_number(plain, length)
        put_number(plain, rng.randrange(2))
    plain += rng.randbytes(rng.randrange(300))
    block = compressed(bytes(plain)) + rng.randbytes(100)
    with pytest.raises(StoreDamaged):
        hostile(tmp_path / "segment", block).manifest(0)


def test_values_are_bounded(monkeypatch: pytest.MonkeyPatch) -> None:
    def say(c: Columns, text: object) -> list[object]:
        return [c.value("same", text, "x" * 1000) for _ in c.each("times", [0] * 1000)]

    writing = Writing()
    say(writing, "x" * 1000)
    data = writing.packed()
    assert say(Reading(data, 1 << 20), NOTHING) == ["x" * 1000] * 1000
    monkeypatch.setattr(columns, "VALUES_MAX", 100_000)
    with pytest.raises(ValueError, match="more than 100000 values"):
        say(Reading(data, 1 << 20), NOTHING)


@pytest.mark.parametrize("number", [0, 1, -1, 63, 64, -64, -65, 1 << 63, -(1 << 63)])
def test_numbers_of_any_size_come_back(number: int) -> None:
    writing = Writing()
    writing.number("n", number, 5)
    assert Reading(writing.packed(), 100).number("n", NOTHING, 5) == number


@pytest.mark.parametrize("real", [0.0, -0.0, 1.0, -3.0, 0.1, 5e-324, 1e300, 2.0**60, 7, None])
def test_floats_and_what_stands_for_them_come_back(real: float | None) -> None:
    for guess in (0.0, 1.0):
        writing = Writing()
        writing.real("r", real, guess)
        found = Reading(writing.packed(), 100).real("r", NOTHING, guess)
        assert repr(found) == repr(real)


def test_a_digest_keeps_its_digits() -> None:
    writing = Writing()
    digests = [sha256_hex(b"%d" % n) for n in range(3)]
    for each in digests:
        writing.digest("d", each)
    reading = Reading(writing.packed(), 100)
    assert [reading.digest("d", NOTHING) for _ in digests] == digests
