"""Old history is dropped: no number is freed, what is kept stays provable, everybody says so."""

import errno
from contextlib import suppress
from pathlib import Path

import pytest

from strandline import limits
from strandline.commit.committing import commit
from strandline.commit.opening import Opening, append_open
from strandline.commit.submission import new_submission
from strandline.errors import (
    HistoryGone,
    Rival,
    StoreDamaged,
    StoreUnavailable,
    VersionGone,
    WrongUsage,
)
from strandline.manifest import OpenKey
from strandline.metrics.totals import add_totals, totals_of
from strandline.reading.model import open_model
from strandline.reading.reader import Reader
from strandline.store import (
    PosixStore,
    create_store,
    folders,
    log,
    open_store,
    packing,
    posix,
    publish,
    read_manifest,
    verify_chain,
    versions,
)
from strandline.store.history import parse_record, render_record
from strandline.transactions.transaction import Stream, open_stream
from strandline.upkeep import retention
from strandline.upkeep.compactor import Compactor
from strandline.upkeep.fsck import check_store
from strandline.upkeep.retention import KeptHistory, drop_history, dropped_totals
from tests.golden.commit_lines import C1, committable, long_line, resealed
from tests.streams import clicks, clicks_spec
from tests.unit.store.disk import Crash, Disk, Names
from tests.unit.store.test_packing import exchanged

SPEC = clicks_spec(bits=6)
PER_FOLDER = 3
MADE = long_line(14)
STEPS = 40
DAY_MS = 86_400_000


@pytest.fixture(autouse=True)
def small_folders(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(versions, "VERSIONS_PER_FOLDER", PER_FOLDER)
    monkeypatch.setattr(limits, "VERSIONS_PER_FOLDER", PER_FOLDER)
    monkeypatch.setattr(posix, "VERSIONS_UNPACKED_MIN", 1)


@pytest.fixture
def disk(monkeypatch: pytest.MonkeyPatch) -> Disk:
    disk = Disk()
    for module in (publish, folders, posix, versions, packing):
        monkeypatch.setattr(module, "os", disk)
    real = packing.exchange
    monkeypatch.setattr(packing, "exchange", lambda one, other: exchanged(disk, real, one, other))
    return disk


def packed(folder: Path) -> PosixStore:
    """A store of 14 versions, 12 of them in four segments."""
    store = PosixStore(folder / "store")
    store.make_folders()
    store.stage("spec", b"a spec")
    for version, manifest in enumerate(MADE):
        assert store.append(version, manifest)
    assert store.pack() == 4
    return store


def drop(store: PosixStore, kept: int = 0, oldest: int = len(MADE)) -> int:
    return drop_history(store, KeptHistory(kept), oldest, now_ms=0)


def check_kept(root: Path, begin: int) -> None:
    """As a process sees it that has seen nothing."""
    store = PosixStore(root)
    assert (store.history_begins(), store.head()) == (begin, 13)
    assert [each.version for each in log(store)] == list(range(13, begin - 1, -1))
    assert verify_chain(store) == 13
    for version, manifest in enumerate(MADE):
        assert not store.append(version, b"a zombie's")
        if version < begin:
            said = rf"version {version} was dropped: history begins at version {begin}\."
            with pytest.raises(HistoryGone, match=said):
                store.manifest(version)
        else:
            assert store.manifest(version) == manifest
    assert store.manifest(14) is None


def test_what_is_older_goes_and_no_number_is_freed(tmp_path: Path) -> None:
    store = packed(tmp_path)
    assert drop(store, kept=6) == 5
    check_kept(store.root, 5)
    assert [path.name for path in (store.root / "history").iterdir()] == ["0000000005.json"]
    assert drop(store, kept=6) == 0
    assert drop(store, kept=2) == 6
    check_kept(store.root, 11)
    assert [path.name for path in (store.root / "history").iterdir()] == ["0000000011.json"]
    sizes = {path.name: path.stat().st_size for path in (store.root / "versions").glob("*")}
    assert [sizes[f"000000{n}"] for n in range(4)] == [0] * 4


def test_what_is_not_packed_or_has_no_base_above_it_stays(tmp_path: Path) -> None:
    store = packed(tmp_path)
    assert drop(store, oldest=4) == 2
    check_kept(store.root, 2)
    assert drop(store) == 9
    check_kept(store.root, 11)
    assert drop(store) == 0, "the folder of head is no segment"


def test_where_nothing_is_packed_nothing_is_dropped(tmp_path: Path) -> None:
    store = PosixStore(tmp_path / "store")
    for version, manifest in enumerate(MADE):
        store.append(version, manifest)
    assert drop(store) == 0
    assert store.history_begins() == 0
    assert [each.version for each in log(store)] == list(range(13, -1, -1))


def test_several_segments_are_dropped_lowest_first(disk: Disk, tmp_path: Path) -> None:
    """So whoever goes on after a crash finds those that are left by looking down from the top."""
    store = packed(tmp_path)
    disk.arm(None)
    assert store.drop_history(8, render_record(MADE[8], {})) == 3
    emptied = [name for call, name in disk.steps if call == "exchange"]
    assert emptied == ["0000000", "0000001", "0000002"]
    check_kept(store.root, 8)


def test_age_is_told_by_the_versions_times(tmp_path: Path) -> None:
    store = packed(tmp_path)
    time_ms = read_manifest(store, 5).time_ms
    young = KeptHistory(age_ms=DAY_MS)
    assert drop_history(store, young, 13, now_ms=time_ms + DAY_MS) == 0
    assert drop_history(store, young, 13, now_ms=time_ms + DAY_MS + 1) == 11
    with pytest.raises(WrongUsage, match="-1 versions"):
        KeptHistory(-1)


def test_the_record_adds_up_what_was_dropped(tmp_path: Path) -> None:
    store = packed(tmp_path)
    whole = add_totals(totals_of(each.body) for each in log(store))
    for kept in (8, 4, 0):
        drop(store, kept)
        left = [totals_of(each.body) for each in log(store)][:-1]
        assert add_totals([dropped_totals(store)["events"], *left]) == whole


def test_a_damaged_line_is_not_dropped(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    store = packed(tmp_path)
    real = store.manifest
    wrong = {4: MADE[4].replace(b'"time_ms":17', b'"time_ms":18')}
    monkeypatch.setattr(store, "manifest", lambda version: wrong.get(version, real(version)))
    with pytest.raises(StoreDamaged, match="version 4"):
        drop(store)
    check_kept(store.root, 2)


def check_whole_or_dropped(root: Path) -> None:
    begin = PosixStore(root).history_begins()
    assert begin in (0, 2, 5)
    store = PosixStore(root)
    for version in range(begin, len(MADE)):
        assert store.manifest(version) == MADE[version]
    for version in range(len(MADE)):
        assert not store.append(version, b"a zombie's")
        with suppress(HistoryGone):
            assert store.manifest(version) == MADE[version]
    store.leftovers(discard=True)
    drop(PosixStore(root), kept=6)
    check_kept(root, 5)
    assert not [path for path in root.rglob(".tmp*") if "0000004" not in str(path)]


@pytest.mark.parametrize("step", range(STEPS))
def test_dropping_dies_before_a_step(disk: Disk, tmp_path: Path, step: int) -> None:
    store = packed(tmp_path)
    disk.arm(step)
    with suppress(Crash):
        drop(store, kept=6)
        assert step >= len(disk.steps), "STEPS is more than dropping takes"
    disk.arm(None)
    check_whole_or_dropped(store.root)


@pytest.mark.parametrize("left", ["lost", "kept", "unlinked"])
@pytest.mark.parametrize("step", range(STEPS))
def test_power_is_lost_before_a_step_of_dropping(
    disk: Disk, tmp_path: Path, step: int, left: Names
) -> None:
    store = packed(tmp_path)
    disk.arm(step)
    with suppress(Crash):
        drop(store, kept=6)
    disk.arm(None)
    disk.after_power_loss(tmp_path, tmp_path.with_suffix(".left"), left)
    check_whole_or_dropped(tmp_path.with_suffix(".left") / "store")


@pytest.mark.parametrize("step", range(STEPS))
def test_a_disk_error_is_told_and_the_next_dropping_ends_right(
    disk: Disk, tmp_path: Path, step: int
) -> None:
    store = packed(tmp_path)
    disk.arm(step, OSError(errno.EIO, "Input/output error"))
    with suppress(StoreUnavailable):
        drop(store, kept=6)
    disk.arm(None)
    check_whole_or_dropped(store.root)


def test_two_compactors_drop_at_once(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    store, other = packed(tmp_path), PosixStore(tmp_path / "store")
    real = retention._record

    def slowly(*arguments: object) -> bytes:
        monkeypatch.setattr(retention, "_record", real)
        drop(other, kept=3)
        return real(*arguments)  # type: ignore[arg-type]

    monkeypatch.setattr(retention, "_record", slowly)
    drop(store, kept=6)
    check_kept(store.root, 8)


def record_files(root: Path) -> list[Path]:
    return sorted((root / "history").iterdir())


def test_every_altered_byte_of_the_record_is_damage(tmp_path: Path) -> None:
    store = packed(tmp_path)
    drop(store, kept=6)
    (path,) = record_files(store.root)
    good = path.read_bytes()
    for at in range(len(good)):
        bad = good[:at] + bytes([good[at] ^ 1]) + good[at + 1 :]
        with pytest.raises(StoreDamaged, match=r"history/0000000005.json.* is damaged"):
            parse_record(bad, 5)
    with pytest.raises(StoreDamaged, match="of version 5, expected 6"):
        parse_record(good, 6)
    path.unlink()
    path.write_bytes(good.replace(b'"versions":', b'"versionz":'))
    with pytest.raises(StoreDamaged, match="damaged"):
        PosixStore(store.root).manifest(5)
    assert [each.what for each in check_store(store).damages if "history" in each.what]
    path.unlink()
    with pytest.raises(StoreDamaged, match="is empty; restore"):
        PosixStore(store.root).manifest(5)


def test_the_first_kept_version_is_checked_against_the_record(tmp_path: Path) -> None:
    store = packed(tmp_path)
    drop(store, kept=6)
    (path,) = record_files(store.root)
    path.unlink()
    other = resealed(MADE[5].replace(b'"checkpoint":17', b'"checkpoint":18'))  # sound by itself
    path.write_bytes(render_record(other, {}))
    with pytest.raises(StoreDamaged, match="version 6 does not follow from version 5"):
        verify_chain(PosixStore(store.root))


def test_a_walk_up_that_is_overtaken_is_told_so(tmp_path: Path) -> None:
    store = PosixStore(packed(tmp_path).root)
    walk = log(store, newest_first=False)
    assert next(walk).version == 0
    drop(PosixStore(store.root), kept=3)
    seen = [0]
    with pytest.raises(HistoryGone, match="history begins at version 8"):
        seen.extend(each.version for each in walk)
    assert seen == [0, 1, 2], "the segment at hand is read to its end"


def test_a_walk_down_that_is_overtaken_ends(tmp_path: Path) -> None:
    store = PosixStore(packed(tmp_path).root)
    walk = log(store)
    assert [next(walk).version for _ in range(4)] == [13, 12, 11, 10]
    drop(PosixStore(store.root), kept=3)
    assert [each.version for each in walk] == [9, 8]


def test_a_check_that_is_overtaken_finds_no_damage(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    store = PosixStore(trained(tmp_path).root)
    compactor(PosixStore(store.root), 100).collect()

    def overtake(done: int, _: int) -> None:
        if done == 2:  # the second segment was not looked into
            compactor(PosixStore(store.root), 0).collect()

    report = check_store(store, overtake)
    assert report.damages == []
    assert report.history_from > 0
    assert check_store(store).damages == []


def trained(folder: Path, epochs: int = 12) -> PosixStore:
    store = create_store(folder / "trained", SPEC)
    assert isinstance(store, PosixStore)
    learn(open_stream(store, "events"), epochs)
    return store


def learn(stream: Stream, epochs: int) -> None:
    for _ in range(epochs):
        with stream.begin() as transaction:
            transaction.learn(clicks(5, stream.position))


def compactor(store: PosixStore, kept: int) -> Compactor:
    made = Compactor(store, every=1, keep_versions=1, kept_history=KeptHistory(kept))
    made.run_once()
    made.cover()
    return made


def test_everything_goes_on_where_history_begins(tmp_path: Path) -> None:
    store = trained(tmp_path)
    before = open_model(store).predict(clicks(9, 1)).scores.tobytes()
    made = compactor(store, 2)
    assert made.collect().dropped == 11
    report = check_store(store)
    assert (report.damages, report.history_from, report.garbage) == ([], 11, [])
    assert report.opens_from == 12
    assert open_model(store).predict(clicks(9, 1)).scores.tobytes() == before
    with pytest.raises(VersionGone):
        open_model(store, 5)
    stream = open_stream(open_store(store.root), "events")
    learn(stream, 9)
    create_store(store.root, SPEC)  # finds it
    with Reader(store) as reader:
        learn(stream, 1)
        assert reader.wait(stream.version, timeout_s=20).version == stream.version
    made = compactor(store, 0)
    assert made.collect().dropped > 0
    assert Compactor(store).collect().files == 0, "one that keeps all has nothing to say"
    assert check_store(store).damages == []


def test_a_reader_that_history_overtook_opens_head(tmp_path: Path) -> None:
    store = trained(tmp_path, 4)
    with Reader(store, poll_ms=60_000) as reader:
        stream = open_stream(store, "events", takeover=True)
        learn(stream, 12)
        assert compactor(store, 0).collect().dropped > 6
        assert reader._follower is not None
        while reader._follower.model.version < store.head():
            reader._follower.step()
        assert reader._follower.model.version == store.head()


def test_keeping_history_needs_versions_that_stay_open(tmp_path: Path) -> None:
    with pytest.raises(WrongUsage, match="kept_history is given and keep_versions is not"):
        Compactor(trained(tmp_path, 1), kept_history=KeptHistory(10))


def test_a_commit_that_is_older_than_history_is_refused_and_says_so(tmp_path: Path) -> None:
    store = packed(tmp_path)
    store.stage("delta", b"a delta")
    store.stage("rejects", b"the rejects")
    drop(store)
    with pytest.raises(Rival, match=r"cannot be looked up: .*history begins at version 11"):
        commit(store, C1)
    step = 10
    known = {"0": 100 + step, "1": 7}
    again = committable(known, known | {"0": 101 + step}, seqs={"0": 1 + step})
    assert commit(store, again) == (12, True)


def opening(run: str) -> Opening:
    key = OpenKey(restored=None, submission=run)
    return Opening("events", run, key, positions={"0": 0}, source={}, time_ms=0)


def test_a_start_that_slept_until_its_history_was_dropped_takes_nothing_over(
    tmp_path: Path,
) -> None:
    store = trained(tmp_path)
    asleep, late = new_submission(0), new_submission(12)
    compactor(store, 0).collect()
    with pytest.raises(HistoryGone, match="history begins at version 11"):
        append_open(store, opening(asleep))
    assert append_open(store, opening(late)) == 14
    assert append_open(store, opening("f" * 32)) == 15, "of an id that says nothing"
