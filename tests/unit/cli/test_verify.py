"""`strandline verify` over a file: what it says, and how it ends."""

import json
import subprocess
import sys
from pathlib import Path

import pytest

from strandline.store import create_store
from strandline.transactions.local import learn
from tests.streams import clicks, clicks_spec

EVENTS = clicks(300)


@pytest.fixture
def store(tmp_path: Path) -> str:
    opened = create_store(str(tmp_path / "store"), clicks_spec(bits=10))
    learn(opened, EVENTS, "events", {"file": "events.ndjson"}, epoch_events=100)
    return opened.url


def written(folder: Path, events: list[bytes]) -> str:
    path = folder / "events.ndjson"
    path.write_bytes(b"".join(event + b"\n" for event in events))
    return str(path)


def verify(*arguments: str) -> tuple[int, str, str]:
    done = subprocess.run(
        [sys.executable, "-m", "strandline.cli", "verify", *arguments],
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
    )
    return done.returncode, done.stdout, done.stderr


def test_a_sound_store_is_said_to_be_verified(store: str, tmp_path: Path) -> None:
    code, said, _ = verify(store, "--input", written(tmp_path, EVENTS))
    assert (code, said) == (0, "verified: 3 versions, 300 events, bits agree\n")


def test_an_altered_line_ends_with_its_own_exit_code(store: str, tmp_path: Path) -> None:
    altered = [*EVENTS[:150], b"no json", *EVENTS[151:]]
    file = written(tmp_path, altered)
    code, said, error = verify(store, "--input", file)
    assert (code, said) == (11, "")
    assert "version 3, learner ctr, table zn, row " in error
    assert "the version records [" in error
    code, said, _ = verify(store, "--input", file, "--json")
    document = json.loads(said)
    assert (code, document["agrees"], document["difference"]["version"]) == (11, False, 3)


def test_without_events_it_says_what_to_give(store: str) -> None:
    code, _, error = verify(store, "--bootstrap", "localhost:1")
    assert code == 2
    assert "events (file events.ndjson)" in error
    assert "--input" in error


def test_another_file_is_refused_by_its_name(store: str, tmp_path: Path) -> None:
    other = tmp_path / "other.ndjson"
    other.write_bytes(b"")
    code, _, error = verify(store, "--input", str(other))
    assert code == 2
    assert "none of them can be read again" in error
