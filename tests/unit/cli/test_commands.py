"""The library's commands as a user calls them, each in a process of its own."""

import json
import re
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from strandline.cli.app import OWN
from strandline.cli.outcome import EXIT_CODES
from strandline.errors import StrandlineError
from strandline.spec import Spec
from strandline.store import create_store, open_store
from strandline.tables.changes import Changes
from strandline.transactions.transaction import open_stream
from strandline_flink.dev.events import EventStream

EVENTS = 3000
SOUND = EventStream(5, malformed_share=0)


def strandline(
    *arguments: str | Path, data: bytes = b"", code: int = 0
) -> subprocess.CompletedProcess[bytes]:
    command = [sys.executable, "-m", "strandline.cli", *map(str, arguments)]
    done = subprocess.run(command, input=data, capture_output=True, timeout=60, check=False)
    assert done.returncode == code, done.stderr.decode()
    assert b"\x1b" not in done.stdout, "no colours in a pipe"
    assert b"Traceback" not in done.stderr
    return done


def document(*arguments: str | Path, data: bytes = b"") -> Any:
    return json.loads(strandline(*arguments, "--json", data=data).stdout)


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A spec, its events and a store that learned them, by the command line alone."""
    made = tmp_path_factory.mktemp("cli")
    spec = strandline("dev", "spec").stdout
    (made / "clicks.toml").write_bytes(spec)
    events = ["--events", str(EVENTS), "--malformed", "0.01", "--seed", "5"]
    strandline("dev", "events", "--output", made / "events.ndjson", *events)
    learned = document(
        *("learn", made / "clicks.toml", "--input", made / "events.ndjson"),
        *("--store", made / "store", "--epoch-events", "1000"),
    )
    assert learned["epochs"] == 3
    assert learned["learned"] + learned["rejected"] == EVENTS
    assert 0 < learned["log_loss"]["ctr"] < 0.7
    return made


def test_a_second_learn_learns_nothing_twice(folder: Path) -> None:
    arguments: list[str | Path] = [folder / "clicks.toml", "--input", folder / "events.ndjson"]
    again = document("learn", *arguments, "--store", folder / "store")
    assert (again["skipped"], again["events"]) == (EVENTS, 0)


def test_log_lists_every_version_newest_first(folder: Path) -> None:
    listed = document("log", folder / "store", "--limit", "0")
    versions = listed["versions"]
    assert [each["version"] for each in versions] == list(range(listed["head"], -1, -1))
    trained = [each for each in versions if each["kind"] == "train"]
    assert sum(each["events"] for each in trained) == EVENTS
    assert all(each["rows"] > 0 and each["log_loss"]["ctr"] > 0 for each in trained)
    table = strandline("log", folder / "store", "--limit", "3").stdout.decode()
    assert table.splitlines()[0].split()[:4] == ["version", "kind", "stream", "events"]
    assert "--limit 0 lists all" in table


def test_show_prints_positions_spans_and_reasons(folder: Path) -> None:
    text = strandline("show", folder / "store", "4").stdout.decode()
    shown = document("show", folder / "store", "4")["manifest"]
    assert shown["version"] == 4
    assert "0: 3000" in text
    assert "0: 2000-3000" in text
    for reason in shown["body"]["rejects"]["reasons"]:
        assert reason in text


def test_show_says_nothing_of_times_that_events_do_not_have(folder: Path) -> None:
    assert document("show", folder / "store", "4")["manifest"]["body"]["event_time_ms"] == [0, 0]
    assert b"event time" not in strandline("show", folder / "store", "4").stdout


def test_show_rejects_lists_each_rejected_event_with_its_bytes(folder: Path) -> None:
    versions = document("log", folder / "store", "--limit", "0")["versions"]
    rejected = sum(each["rejected"] for each in versions)
    found = document("show", folder / "store", "--rejects", "--limit", "1000")["rejects"]
    assert len(found) == rejected > 0
    lines = (folder / "events.ndjson").read_bytes().splitlines()
    assert all(each["length"] == len(lines[each["offset"]]) for each in found)
    text = strandline("show", folder / "store", "4", "--rejects").stdout.decode()
    assert "offset" in text


def test_predict_scores_each_line_with_its_version(folder: Path) -> None:
    data = b"".join(event + b"\n" for event in SOUND.events(0, 5))
    lines = strandline("predict", folder / "store", "--json", data=data).stdout.splitlines()
    scores = [json.loads(line) for line in lines]
    head = open_store(str(folder / "store")).head()
    assert len(scores) == 5
    assert all(0 < each["score"] < 1 and each["version"] == head for each in scores)
    old = strandline("predict", folder / "store", "--version", "2", data=data).stdout
    assert old.splitlines()[0].endswith(b"version 2")


def test_predict_answers_line_by_line(folder: Path) -> None:
    first, second = SOUND.events(0, 2)
    data = first + b"\n\n" + second + b"\n \r\n"
    text = strandline("predict", folder / "store", data=data).stdout.decode().splitlines()
    assert [bool(line) for line in text] == [True, False, True, False]
    lines = strandline("predict", folder / "store", "--json", data=data).stdout.splitlines()
    assert [json.loads(line) is None for line in lines] == [False, True, False, True]


def test_predict_goes_on_after_an_event_that_cannot_be_decoded(folder: Path) -> None:
    data = b"[1\n" + SOUND.events(0, 1)[0] + b"\n"
    done = strandline("predict", folder / "store", "--json", data=data, code=2)
    first, second = (json.loads(line) for line in done.stdout.splitlines())
    assert "not_json" in first["error"]
    assert first["line"] == 1
    assert second["version"] > 0
    assert done.stderr.decode().startswith("error: 1 of 2 events")


def test_init_and_compact_say_where_the_store_stands(folder: Path, tmp_path: Path) -> None:
    made = document("init", folder / "clicks.toml", tmp_path / "store")
    assert (made["head"], made["name"]) == (0, "clicks")
    assert made["table_bytes"] == 2**18 * 8
    assert document("init", folder / "clicks.toml", tmp_path / "store") == made
    bases = document("compact", folder / "store", "--every", "2")
    assert bases["bases"] == [4]


def test_a_users_error_is_one_message_and_its_exit_code(folder: Path, tmp_path: Path) -> None:
    missing = strandline("log", tmp_path / "none", code=4)
    assert missing.stderr.decode().startswith("error: ")
    assert strandline("show", folder / "store", "99", code=4).stderr.count(b"\n") <= 2
    (tmp_path / "bad.toml").write_text("name = 'x'\nlabell.path = 'y'\n")
    wrong = strandline("init", tmp_path / "bad.toml", tmp_path / "store", code=2)
    assert b"did you mean 'label'" in wrong.stderr
    assert strandline("logg", code=2).stderr
    arguments: list[str | Path] = ["--input", tmp_path / "none", "--store", tmp_path / "store"]
    assert b"--input" in strandline("learn", folder / "clicks.toml", *arguments, code=2).stderr


def test_folder_that_cannot_be_made_or_written_is_no_bug_of_ours(tmp_path: Path) -> None:
    (tmp_path / "file").touch()
    in_the_way = strandline("dev", "broker", "--folder", tmp_path / "file" / "broker", code=3)
    assert b"a file is in the way: choose another folder" in in_the_way.stderr
    arguments = ["--output", "/dev/full", "--events", "1000"]
    full = strandline("dev", "events", *arguments, code=3)
    assert b"the file system is full: free some space" in full.stderr


def test_debug_shows_the_stack_trace(tmp_path: Path) -> None:
    command = [sys.executable, "-m", "strandline.cli", "--debug", "log", str(tmp_path / "none")]
    done = subprocess.run(command, capture_output=True, timeout=60, check=False)
    assert b"Traceback" in done.stderr


def test_output_that_nobody_reads_ends_the_command_quietly(folder: Path) -> None:
    command = [sys.executable, "-m", "strandline.cli", "show", str(folder / "store"), "--rejects"]
    child = subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.PIPE)
    assert child.stdout is not None
    child.stdout.close()
    _, errors = child.communicate(timeout=60)
    assert (child.returncode, errors) == (141, b"")


def test_hostile_bytes_do_not_reach_the_terminal(tmp_path: Path) -> None:
    (tmp_path / "spec.toml").write_bytes(strandline("dev", "spec").stdout)
    (tmp_path / "bad.ndjson").write_bytes(b'{"user":"\x1b[31m\xc2\x9b0m"}\n')
    command: list[str | Path] = [
        "learn",
        tmp_path / "spec.toml",
        "--input",
        tmp_path / "bad.ndjson",
    ]
    strandline(*command, "--store", tmp_path / "hostile", code=10)  # nothing is learned
    shown = strandline("show", tmp_path / "hostile", "--rejects").stdout
    assert b"\\x1b[31m\\x9b0m" in shown


def test_a_file_with_one_wrong_field_ends_with_its_path_and_the_events_are_kept(
    folder: Path, tmp_path: Path
) -> None:
    price = re.compile(rb'"price":([0-9.]+)')
    lines = price.sub(rb'"price":"\1"', b"\n".join(SOUND.events(0, 1500)))
    (tmp_path / "events.ndjson").write_bytes(lines)
    arguments: list[str | Path] = [folder / "clicks.toml", "--input", tmp_path / "events.ndjson"]
    done = strandline("learn", *arguments, "--store", tmp_path / "store", code=5)
    message = done.stderr.decode()
    assert re.search(r'line 1: wrong_type: (\S+): expected float or null, got "\d', message)
    assert re.search(r"(?m)^  1500 \S+: wrong_type$", message)
    (shown,) = re.findall(r"(?m)strandline (show .*)$", message)
    kept = json.loads(strandline(*shown.split(), "--json").stdout)["rejects"]
    assert (kept[0]["version"], kept[0]["reason"]) == (None, "wrong_type")
    assert b"wrong_type" in strandline(*shown.split()).stdout


def test_a_learn_that_learned_nothing_is_no_success(folder: Path, tmp_path: Path) -> None:
    (tmp_path / "none.ndjson").write_bytes(b"{}\n" * 7)
    arguments: list[str | Path] = [folder / "clicks.toml", "--input", tmp_path / "none.ndjson"]
    done = strandline("learn", *arguments, "--store", tmp_path / "store", code=10)
    assert b"0 events learned, 7 rejected" in done.stdout
    assert b"--rejects" in done.stderr
    (tmp_path / "none.ndjson").write_bytes(b"{}\n" * 7)
    strandline("learn", *arguments, "--store", tmp_path / "store")  # nothing is left to read


def test_listing_versions_imports_no_compiler(folder: Path) -> None:
    code = (
        "import sys; from strandline.cli.app import make_app;"
        f"make_app()(['log', {str(folder / 'store')!r}], standalone_mode=False);"
        "print(sorted({'numba', 'kafka', 'pyflink'} & set(sys.modules)))"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, check=True)
    assert done.stdout.splitlines()[-1] == b"[]"


@pytest.mark.parametrize(
    "command", [*OWN, "run", "verify", "demo", "dev broker", "dev events", "dev spec"]
)
def test_help_teaches_with_an_example(command: str) -> None:
    text = strandline(*command.split(), "--help").stdout.decode()
    assert "Example" in text
    assert f"strandline {command}" in " ".join(text.split())


def test_help_names_the_exit_codes() -> None:
    said = " ".join(strandline("--help").stdout.decode().split())
    page = (Path(__file__).parents[3] / "docs" / "exit_codes.md").read_text("utf-8")
    for code, meaning in EXIT_CODES.items():
        assert f"{code}: {meaning.replace('`', '')}" in said
        assert f"| {code} | {meaning} |" in page
    assert {error.exit_code for error in classes(StrandlineError)} <= EXIT_CODES.keys()


def classes(error: type[StrandlineError]) -> Iterator[type[StrandlineError]]:
    """Return the class and all below it."""
    yield error
    for below in error.__subclasses__():
        yield from classes(below)


def four_versions(folder: Path, tmp_path: Path) -> Path:
    """Return a store with head 4: genesis, an open and three commits, all with rejected events."""
    events = tmp_path / "events.ndjson"
    events.write_bytes(b"\n".join((folder / "events.ndjson").read_bytes().split(b"\n")[:EVENTS]))
    learn = ("learn", folder / "clicks.toml", "--input", events, "--epoch-events", "1000")
    strandline(*learn, "--store", tmp_path / "store")
    return tmp_path / "store"


def test_fsck_finds_and_repairs(folder: Path, tmp_path: Path) -> None:
    store = four_versions(folder, tmp_path)
    assert b"sound; 5 versions, versions from 0 on open" in strandline("fsck", store).stdout
    (delta, *_) = (store / "deltas").iterdir()
    strandline("compact", store, "--every", "2")
    garbage = store / "deltas" / f"{'0' * 64}.safetensors"
    garbage.write_bytes(b"no commit can name this")
    base = store / "bases" / "0000000004.safetensors"
    base.write_bytes(base.read_bytes()[:-1])
    found = strandline("fsck", store, code=4).stdout.decode()
    assert "damaged: base 4" in found
    assert "--repair removes them" in found
    repaired = json.loads(strandline("fsck", store, "--repair", "--json").stdout)
    assert repaired["removed"] == [f"delta {'0' * 64}", "base 4"]
    assert repaired["sound"]
    assert not garbage.exists()
    assert not base.exists()
    delta.unlink()
    lost = json.loads(strandline("fsck", store, "--repair", "--json", code=4).stdout)
    assert lost["damages"][0]["what"].startswith(f"delta {delta.stem}, named by version ")
    assert not lost["sound"]


def test_compact_removes_all_rejected_events_when_no_version_is_kept(
    folder: Path, tmp_path: Path
) -> None:
    store = four_versions(folder, tmp_path)
    assert [file for file in store.glob("rejects/**/*") if file.is_file()]
    done = document("compact", store, "--keep-versions", "0")
    assert done["bases"] == [4]
    assert not [file for file in store.glob("rejects/**/*") if file.is_file()]
    assert document("fsck", store)["damages"] == []
    assert b"version 4" in strandline("predict", store, data=SOUND.events(0, 1)[0]).stdout
    learned = document(
        *("learn", folder / "clicks.toml", "--input", folder / "events.ndjson", "--store", store)
    )
    assert learned["skipped"] > 0, "writers go on"


def test_a_regression_shows_its_error(tmp_path: Path) -> None:
    spec, store = tmp_path / "spec.toml", tmp_path / "store"
    spec.write_text(
        'name = "heat"\nlabel.path = "y"\nfeatures.x.kind = "number"\n[learners.sgd]\n'
        'type = "sklearn"\nbits = 4\nestimator = {name = "SGDRegressor"}\n'
    )
    events = b"".join(b'{"x": %d, "y": %d}\n' % (n % 7, n % 7 + 1) for n in range(300))
    arguments: list[str | Path] = ["learn", spec, "--input", "-", "--store", store]
    assert b"sgd: RMSE " in strandline(*arguments, data=events).stdout
    listed = document("log", store)["versions"][0]
    assert listed["rmse"]["sgd"] > 0
    assert listed["log_loss"]["sgd"] is None
    lines = strandline("log", store).stdout.decode().splitlines()
    assert lines[0].split() == ["version", "kind", "stream", "events", "RMSE", "rejected", "rows",
                                "age"]  # fmt: skip
    assert f"{listed['rmse']['sgd']:.4f}" in lines[1]
    assert "RMSE" in strandline("show", store).stdout.decode()


def test_words_of_the_tables_are_explained(folder: Path) -> None:
    log = " ".join(strandline("log", "--help").stdout.decode().split())
    assert "1.0 is right" in log
    assert "rows of the model's tables" in log
    show = " ".join(strandline("show", "--help").stdout.decode().split())
    for word in ("open is the version", "seqs the number", "on is the version", "pending the seqs"):
        assert word in show, word


def test_history_begins_where_it_is_told_to(folder: Path, tmp_path: Path) -> None:
    spec = Spec.load(str(folder / "clicks.toml"))
    store = create_store(tmp_path / "store", spec)
    stream = open_stream(store, "clicks")
    changes = {"popularity.counts": Changes(np.array([5], np.uint64), np.array([[1, 0]], np.int64))}
    while stream.version < 1150:
        with stream.begin() as transaction:
            transaction.prepare(changes)
    begins = b"history begins at version 999"
    refused = strandline("compact", store.url, "--keep-history", "5", code=2).stderr
    assert b"--keep-history is given and --keep-versions is not" in refused
    keep = ("--keep-versions", "1", "--keep-history", "5", "--keep-history-days", "0")
    done = document("compact", store.url, *keep)
    assert (done["collected"]["dropped"], done["history_from"]) == (999, 999)
    assert begins in strandline("compact", store.url, "--keep-versions", "1").stdout
    listed = document("log", store.url, "--limit", "0")
    assert [each["version"] for each in listed["versions"]] == list(range(1150, 998, -1))
    assert listed["dropped"]["clicks"]["versions"] == 998
    assert begins in strandline("log", store.url).stdout
    assert begins in strandline("show", store.url, "7", code=4).stderr
    assert document("show", store.url, "999")["manifest"]["version"] == 999
    assert begins in strandline("fsck", store.url).stdout
    assert document("fsck", store.url)["history_from"] == 999
    assert strandline("predict", store.url, data=SOUND.events(0, 1)[0]).stdout


def test_compact_keeps_the_versions_it_is_told_to(folder: Path, tmp_path: Path) -> None:
    store = four_versions(folder, tmp_path)
    (store / "deltas/.tmp-dead").touch()
    done = document("compact", store, "--every", "3", "--keep-versions", "1")
    assert done["collected"] == {"bases": 0, "files": 4, "leftovers": 1, "packed": 0} | {
        "dropped": 0
    }
    event = SOUND.events(0, 1)[0]
    assert b"version 4" in strandline("predict", store, data=event).stdout
    refused = strandline("predict", store, "--version", "2", data=event, code=4).stderr
    assert b"the oldest version that can be opened is 3" in refused
    assert document("fsck", store)["gone"] == 2
    kept = document("show", store, "--rejects")["rejects"]
    assert {each["version"] for each in kept} == {4}
    gone = strandline("show", store, "2", "--rejects", code=4).stderr
    assert b"rejected events of version 2 were removed by compaction" in gone
