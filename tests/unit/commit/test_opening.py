import re
import uuid

import pytest

from strandline.commit.committing import Create
from strandline.commit.open_list import OpenFound
from strandline.commit.opening import (
    Opening,
    append_open,
    check_one_stream,
    check_topic_free,
    decide_open,
)
from strandline.commit.submission import made_since, new_submission
from strandline.encoding.canonical import sha256_hex
from strandline.errors import (
    SecondStream,
    SourceRecreated,
    StoreDamaged,
    StreamContested,
    StreamUnfit,
    Superseded,
    TopicTaken,
)
from strandline.manifest import OpenBody, OpenKey, parse_manifest
from strandline.store import MemoryStore, read_manifest, verify_chain
from tests.golden.commit_lines import (
    B1,
    C1,
    C2,
    C3,
    OTHER_RUN,
    RUN,
    SOURCE,
    THIRD_RUN,
    Line,
    line,
    resealed,
)
from tests.golden.open_cases import open_cases
from tests.unit.commit.test_commit import overtaken, store_of

CASES = list(open_cases())
KEY = OpenKey(restored=None, submission=RUN)


def test_cases_reach_every_outcome() -> None:
    outcomes = {outcome for *_, outcome in CASES}
    assert outcomes == {
        *("create", "found", "superseded", "rival", "gap"),
        *("contested", "second_stream", "topic_taken"),
    }


@pytest.mark.parametrize("case", CASES, ids=[case[0] for case in CASES])
def test_decides(case: tuple[str, Line, Opening, str]) -> None:
    _, made, wanted, outcome = case
    decision = decide_open(made.head, made.manifests.__getitem__, wanted)
    match decision:
        case Create(version, manifest):
            assert outcome == "create"
            assert version == made.head + 1
            written = parse_manifest(manifest)
            assert written.parent == sha256_hex(made.manifests[-1])
            assert isinstance(written.body, OpenBody)
            assert written.body.key == wanted.key
        case OpenFound(version):
            assert outcome == "found"
            found = parse_manifest(made.manifests[version])
            assert isinstance(found.body, OpenBody)
            assert found.body.key == wanted.key
        case _:
            assert decision.code == outcome


def start(store: MemoryStore, run: str, time_ms: int = 0, *, takeover: bool = False) -> int:
    return append_open(
        store,
        Opening(
            "events",
            run=run,
            key=OpenKey(restored=None, submission=run),
            positions={"0": 100, "1": 7},
            source=SOURCE,
            time_ms=time_ms,
            takeover=takeover,
        ),
    )


def test_append_is_idempotent_by_key() -> None:
    store = store_of(line().manifests[:1])
    assert [start(store, RUN, time_ms) for time_ms in (0, 1, 2)] == [1, 1, 1]
    assert store.head() == 1


def test_opens_are_a_linked_list() -> None:
    store = store_of(line().manifests[:1])
    assert [start(store, f"{n:032x}") for n in range(4)] == [1, 2, 3, 4]
    previous = []
    for version in range(1, 5):
        body = read_manifest(store, version).body
        assert isinstance(body, OpenBody)
        previous.append(body.previous)
    assert previous == [None, 1, 2, 3]
    assert start(store, f"{3:032x}") == 4


def test_an_open_is_found_without_reading_the_commits_above_it() -> None:
    made = line().commit(C1).commit(C2).commit(C3).manifests
    store = store_of(made)
    store._versions[2] = b"unreadable"  # head and the version before it are read
    assert start(store, RUN) == 1


def test_a_superseded_start_repeated_ends() -> None:
    store = store_of(line().manifests[:1])
    start(store, RUN)
    start(store, OTHER_RUN)
    with pytest.raises(Superseded, match=f"{RUN}.*{OTHER_RUN}"):
        start(store, RUN)
    assert store.head() == 2


def test_a_start_that_lost_the_race_to_a_commit_goes_on_from_it() -> None:
    """The old run commits between this start's look at head and its open."""
    base = line()
    store = overtaken(list(base.manifests), base.commit(C1).manifests[2:])
    assert start(store, OTHER_RUN) == 3
    assert read_manifest(store, 3).streams["events"].positions == B1
    assert verify_chain(store) == 3


def test_a_start_that_lost_the_race_to_itself_finds_its_open() -> None:
    base = line()
    store = overtaken(base.manifests[:1], base.manifests[1:])
    assert start(store, RUN) == 1


def test_a_start_that_lost_the_race_to_one_of_another_source_is_refused() -> None:
    """Its positions would skip events of a file that nobody has read."""
    manifests = line().manifests[:1]
    first = store_of(manifests)
    start(first, OTHER_RUN)
    store = overtaken(manifests, [first._versions[1]])
    with pytest.raises(SourceRecreated, match=r"klicks.*other\.jsonl"):
        append_open(
            store,
            Opening(
                "events", RUN, KEY, positions={"0": 0}, source={"file": "other.jsonl"}, time_ms=0
            ),
        )
    assert store.head() == 1


def test_two_restores_of_one_savepoint_both_open() -> None:
    store = store_of(line().commit(C1).manifests)
    for version, submission in ((3, OTHER_RUN), (4, THIRD_RUN)):
        key = OpenKey(restored=17, submission=submission)
        for _ in range(2):
            assert version == append_open(
                store, Opening("events", run=RUN, key=key, positions=B1, source={}, time_ms=0)
            )
    assert verify_chain(store) == 4


def test_supervisors_that_fence_each_other_are_stopped() -> None:
    store = store_of(line().manifests[:1])
    for second in range(8):
        start(store, f"{second:032x}", 1000 * second)
    with pytest.raises(StreamContested, match=r"8 runs in a row took it over.*--takeover"):
        start(store, RUN, 8000)
    assert start(store, RUN, 8000, takeover=True) == 9
    with pytest.raises(StreamContested):
        start(store, OTHER_RUN, 9000)
    assert start(store, OTHER_RUN, 8000 + 60_001) == 10


class Counted(MemoryStore):
    """Counts the manifests that are read."""

    reads = 0

    def manifest(self, version: int) -> bytes | None:
        self.reads += 1
        return super().manifest(version)


@pytest.mark.parametrize("opens", [20, 200])
def test_a_start_reads_as_much_of_a_long_list_of_opens_as_of_a_short_one(opens: int) -> None:
    store = Counted()
    store.append(0, line().manifests[0])
    for n in range(opens):
        start(store, new_submission(store.head()), 1000 * n, takeover=True)
    run = new_submission(store.head())
    store.reads = 0
    version = start(store, run, 1000 * opens, takeover=True)
    assert store.reads <= 8, "head, the version before it and the newest open, a few times"
    store.reads = 0
    with pytest.raises(StreamContested):
        start(store, new_submission(store.head()), 1000 * opens)
    assert store.reads <= 16, "and the newest 8 opens"
    for _ in range(30):
        start(store, new_submission(store.head()), 1000 * opens, takeover=True)
    with pytest.raises(Superseded):
        start(store, run, takeover=True)
    assert store.head() == version + 30


def test_a_submission_says_since_when_it_may_have_opens() -> None:
    for head in (0, 1, 16**9 - 1):
        submission = new_submission(head)
        assert made_since(submission) == head
        assert re.fullmatch("[0-9a-f]{32}", submission)
        for at in range(32):
            digit = "0" if submission[at] != "0" else "1"
            assert made_since(submission[:at] + digit + submission[at + 1 :]) is None
    assert made_since(uuid.UUID(int=1 << 127).hex) is None


def test_a_list_of_opens_that_leads_elsewhere_is_damage() -> None:
    made = line().commit(C1).open(OTHER_RUN, B1).manifests
    store = store_of(made)
    store._versions[3] = resealed(made[3].replace(b'"previous":1', b'"previous":2'))
    with pytest.raises(StoreDamaged, match=r"version 3 .* names the open 2, expected 1"):
        start(store, RUN)


def test_a_table_that_does_not_commute_takes_no_second_stream() -> None:
    store = store_of(line().manifests[:1])

    def begin(stream: str, *one_stream: str) -> int:
        return append_open(
            store,
            Opening(
                stream,
                run=RUN,
                key=OpenKey(restored=None, submission=RUN),
                positions={"0": 0},
                source={},
                time_ms=0,
                one_stream=one_stream,
            ),
        )

    assert begin("events", "last.rows") == 1
    with pytest.raises(SecondStream, match=r"by stream events, and what table a\.b, last\.rows"):
        begin("other", "a.b", "last.rows")
    with pytest.raises(SecondStream, match="by stream events"):
        check_one_stream(store, "other", ("last.rows",))
    check_one_stream(store, "events", ("last.rows",))
    check_one_stream(store, "other", ())
    assert store.head() == 1
    assert begin("events", "last.rows") == 1  # the stream itself goes on
    assert begin("other") == 2  # rules that commute take any number


def start_beside(store: MemoryStore, *, again: bool = False) -> int:
    """A new stream of the topic that stream `events` reads."""
    key = OpenKey(restored=None, submission=OTHER_RUN)
    opening = Opening(
        "again", OTHER_RUN, key, positions={"0": 0}, source=SOURCE, time_ms=0, topic_again=again
    )
    return append_open(store, opening)


def test_the_same_topic_under_two_streams_is_refused_without_the_flag() -> None:
    store = store_of(line().manifests)
    said = r"topic klicks.* is read by stream events already.*--stream events.*--topic-again"
    with pytest.raises(TopicTaken, match=said):
        start_beside(store)
    with pytest.raises(TopicTaken, match=said):
        check_topic_free(store, "again", lambda: SOURCE)
    assert store.head() == 1
    assert start_beside(store, again=True) == 2
    assert start(store, THIRD_RUN) == 3, "a stream that is known goes on beside the other one"
    check_topic_free(store, "events", no_source)


def no_source() -> dict[str, str]:
    raise AssertionError("nobody needs to know the source")


def test_the_first_stream_of_a_store_may_read_any_topic() -> None:
    check_topic_free(store_of(line().manifests[:1]), "events", no_source)


def test_a_start_that_lost_the_race_to_another_stream_of_its_topic_is_refused() -> None:
    """Both were checked before either was open: the open decides."""
    manifests = line().manifests
    store = overtaken(manifests[:1], manifests[1:])
    check_topic_free(store, "again", no_source)
    with pytest.raises(TopicTaken, match="is read by stream events already"):
        start_beside(store)
    assert store.head() == 1


@pytest.mark.parametrize(
    ("stream", "source"),
    [
        ("Events", {}),
        ("events\n", {}),
        ("", {}),
        ("events", {"File": "clicks.jsonl"}),
        ("events", {"file": "x" * 4097}),
        ("events", {f"key{n}": "" for n in range(17)}),
    ],
)
def test_a_stream_that_no_version_may_hold_is_refused_and_the_store_stays_readable(
    stream: str, source: dict[str, str]
) -> None:
    store = store_of(line().manifests[:1])
    with pytest.raises(StreamUnfit, match="cannot be opened"):
        append_open(
            store, Opening(stream, run=RUN, key=KEY, positions={"0": 0}, source=source, time_ms=0)
        )
    assert verify_chain(store) == 0
