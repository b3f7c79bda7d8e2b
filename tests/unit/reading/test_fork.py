"""A reader in a forked process: a service that opens its model before it forks its workers."""

import os
import threading
import time
from pathlib import Path

import pytest

from strandline.reading.reader import Reader
from strandline.store import create_store, open_store
from strandline.transactions.transaction import open_stream
from tests.streams import clicks, clicks_spec

pytestmark = pytest.mark.filterwarnings("ignore:.*multi-threaded.*fork:DeprecationWarning")

CHILDREN = 4
DEADLINE_S = 60


def commit(url: str, first: int, count: int) -> int:
    stream = open_stream(open_store(url), "events")
    for number in range(first, first + count):
        with stream.begin() as transaction:
            transaction.learn(clicks(20, number))
    return open_store(url).head()


def wait_and_compare(reader: Reader, version: int) -> bool:
    """Whether the reader comes to a version, and serves what a reader of this process opens."""
    model = reader.wait(version, timeout_s=DEADLINE_S)
    events = clicks(5, 99)
    with Reader(open_store(reader._store.url)) as fresh:
        expected = fresh.wait(model.version, timeout_s=DEADLINE_S)
        return model.version > expected.version or bool(
            (reader.wait(expected.version, DEADLINE_S).predict(events).scores
             == expected.predict(events).scores).all()
        )  # fmt: skip


def child_of_fork(reader: Reader, told: int, answers: int) -> None:
    """Serve until the parent names a version; answer whether the reader comes to it."""
    code = 1
    try:
        version = int(os.read(told, 100))
        code = 0 if wait_and_compare(reader, version) else 2
        reader.close()
        os.write(answers, b"x" if code == 0 else b"?")
    finally:
        os._exit(code)


def test_readers_of_forked_processes_follow_while_a_writer_commits(tmp_path: Path) -> None:
    url = str(tmp_path / "store")
    create_store(url, clicks_spec(bits=10))
    commit(url, 0, 2)
    writer = threading.Thread(target=commit, args=(url, 10, 30))
    with Reader(url, poll_ms=1) as reader:
        writer.start()
        children = []
        answers, answering = os.pipe()
        for _ in range(CHILDREN):  # at any moment of taking up a version
            told, telling = os.pipe()
            child = os.fork()
            if child == 0:
                child_of_fork(reader, told, answering)
            children.append((child, telling))
            time.sleep(0.02)
        writer.join()
        head = commit(url, 50, 3)
        for _, telling in children:
            os.write(telling, b"%d" % head)
        codes = [os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]) for child, _ in children]
        assert codes == [0] * CHILDREN
        assert os.read(answers, 100) == b"x" * CHILDREN
        assert reader.wait(head, DEADLINE_S).version == head, "the parent's follows on, too"


def test_a_closed_reader_stays_closed_in_a_fork(tmp_path: Path) -> None:
    url = str(tmp_path / "store")
    create_store(url, clicks_spec(bits=10))
    with Reader(url) as reader:
        pass
    child = os.fork()
    if child == 0:
        os._exit(0 if reader._thread is None and reader.model.version == 0 else 1)
    assert os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]) == 0
