"""What a run says of what it waits for, and how it ends: nothing stalls or fails in silence."""

import json
import os
import signal
import subprocess
import time
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, contextmanager, suppress
from pathlib import Path

import pytest
from kafka import KafkaProducer

from strandline.spec import Spec
from strandline.store import create_store
from strandline_flink.dev.broker import Broker
from tests.integration.harness import Run, check_exact, ends, positions, produce
from tests.plugins import install
from tests.streams import CLICKS, clicks

pytestmark = pytest.mark.timeout(300)
ROOT = Path(__file__).parents[2]
SAID_WITHIN_S = 10
State = Callable[[Path], AbstractContextManager[None]]
GOES_ON = "The job waits for its store, and goes on by itself when that answers\n"


@pytest.fixture
def disk(tmp_path: Path) -> Iterator[Path]:
    """A small file system of its own."""
    folder = tmp_path / "disk"
    folder.mkdir()
    command = ["mount", "-t", "tmpfs", "-o", "size=32m", "tmpfs", str(folder)]
    if os.getuid() != 0 or subprocess.run(command, check=False, capture_output=True).returncode:
        pytest.skip("mounting a file system needs root and the right to mount")
    yield folder
    subprocess.run(["umount", "--lazy", str(folder)], check=True)


@contextmanager
def full(disk: Path) -> Iterator[None]:
    """Every byte of it is taken."""
    filler = disk / "filler"
    with filler.open("wb", buffering=0) as file:
        for size in (1 << 16, 1):
            with suppress(OSError):
                while True:
                    file.write(bytes(size))
    yield
    filler.unlink()


@contextmanager
def read_only(disk: Path) -> Iterator[None]:
    """It is mounted read-only, as after an error of the disk."""
    remount(disk, "ro")
    try:
        yield
    finally:
        remount(disk, "rw")


@contextmanager
def moved_away(disk: Path) -> Iterator[None]:
    """The store is not where it was."""
    (disk / "store").rename(disk / "elsewhere")
    yield
    (disk / "elsewhere").rename(disk / "store")


def remount(disk: Path, how: str) -> None:
    deadline_s = time.monotonic() + 30
    while subprocess.run(["mount", "-o", f"remount,{how}", str(disk)], check=False).returncode:
        assert time.monotonic() < deadline_s, "a file stays open for writing"


def in_disk(run: Run, disk: Path) -> Run:
    """The run with its store in that file system."""
    store = str(disk / "store")
    run.arguments[run.arguments.index(run.store_url)] = store
    run.store_url = store
    return run


STATES: dict[str, tuple[State, str]] = {
    "full": (full, "No space left on device; the file system is full: free some space"),
    "read-only": (read_only, "the file system is read-only: mount it read-write"),
    "moved-away": (moved_away, "holds no store; create one there, or check the path"),
}


@pytest.mark.parametrize(
    "name",
    ["full", *(pytest.param(name, marks=pytest.mark.long) for name in ("read-only", "moved-away"))],
)
def test_store_is_full_or_read_only_or_moved_away_while_events_come(
    name: str, broker: Broker, disk: Path, tmp_path: Path
) -> None:
    """Said within seconds with the reason and the remedy; the run goes on by itself, exactly."""
    state, reason = STATES[name]
    topic = f"store-{name}"
    broker.create_topic(topic, 2)
    with in_disk(Run(broker.bootstrap, topic, tmp_path), disk) as run:
        produce(broker, topic, clicks(200))
        run.wait_for_events(ends(broker, topic))
        with state(disk):
            begun_s = time.monotonic()
            produce(broker, topic, clicks(200, seed=1))
            said = run.wait_to_hear("warning: since 20")
            assert time.monotonic() - begun_s < SAID_WITHIN_S
            assert str(disk / "store") in said
            assert reason in said
            assert said.endswith(GOES_ON)
        run.wait_to_hear("warning: the store answers again after ")
        run.wait_for_events(ends(broker, topic))
        assert run.stop()["ended"] == "stopped"
    check_exact(broker, topic, run.store_url)


def test_run_on_a_read_only_store_is_refused_at_once(
    broker: Broker, disk: Path, tmp_path: Path
) -> None:
    broker.create_topic("read-only", 1)
    create_store(str(disk / "store"), Spec.parse(CLICKS))
    with read_only(disk), in_disk(Run(broker.bootstrap, "read-only", tmp_path), disk) as run:
        code, out, err = run.finish()
    assert (code, out) == (4, "")
    assert f"error: {disk}/store/versions: Read-only file system; the file system is read" in err


@pytest.mark.long
def test_bounded_run_waits_behind_an_open_transaction_and_its_stop_is_no_success(
    broker: Broker, tmp_path: Path
) -> None:
    topic = "open-transaction"
    broker.create_topic(topic, 2)
    produce(broker, topic, clicks(100))
    producer = KafkaProducer(bootstrap_servers=broker.bootstrap, transactional_id=topic)
    producer.init_transactions()
    producer.begin_transaction()
    for event in clicks(30, seed=1):
        producer.send(topic, value=event, partition=1)
    producer.flush()
    with Run(broker.bootstrap, topic, tmp_path, "--bounded") as run:
        said = run.wait_to_hear("warning: since 20")
        assert f"topic {topic} waits behind a producer's open transaction: partition 1 " in said
        assert "partition 1 stands at offset 50, 30 offsets before its end. " in said
        os.kill(run.pid, signal.SIGINT)
        code, out, err = run.finish()
        assert (code, json.loads(out)["ended"]) == (130, "stopped"), err
    with Run(broker.bootstrap, topic, tmp_path, "--bounded") as run:
        run.wait_to_hear("partition 1 stands at offset 50, 30 offsets before its end. ")
        producer.commit_transaction()
        assert run.summary()["ended"] == "finished"
    producer.close()
    assert positions(run.store_url) == {"0": 50, "1": 80}


def test_job_that_fails_again_and_again_in_the_same_way_ends(
    broker: Broker, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The first restart says why; a few that are alike end the run, with the reason and the log."""
    topic = "failing"
    broker.create_topic(topic, 1)
    produce(broker, topic, clicks(100), partitions=1)
    learner = '[learners.failing]\ntype = "failing"\nfeature = "item"\n'
    (tmp_path / "spec.toml").write_text(CLICKS + learner)
    install(
        monkeypatch, tmp_path / "site", "failing", {"failing": "tests.failing_learner:FailingSpec"}
    )
    monkeypatch.setenv("PYTHONPATH", f"{tmp_path / 'site'}:{ROOT}", prepend=":")
    with Run(broker.bootstrap, topic, tmp_path) as run:
        said = run.wait_to_hear("warning: the job failed and restarts")
        assert "ZeroDivisionError" in said
        assert "tables can be had" in said
        code, out, err = run.finish()
    assert (code, out) == (1, "")
    assert "error: the job failed 4 times in the same way, and made no version in between:" in err
    logs = Path(err.rpartition("The whole story is in ")[2].strip())
    assert any("ZeroDivisionError" in log.read_text() for log in logs.iterdir())


@pytest.mark.parametrize(
    "number",
    [
        pytest.param(signal.SIGINT, marks=pytest.mark.rare),
        pytest.param(signal.SIGTERM, marks=pytest.mark.long),
    ],
)
def test_signals_at_any_moment_of_a_start(
    number: signal.Signals, broker: Broker, tmp_path: Path
) -> None:
    """One word and an exit code that is no success before the stream is open; never a traceback."""
    topic = f"signalled-{number.name.lower()}"
    broker.create_topic(topic, 1)
    for delay_s in (0.3, 1.0, 2.0, 3.0, 5.0):
        with Run(broker.bootstrap, topic, tmp_path) as run:
            time.sleep(delay_s)
            opened = run.head() > run._head
            os.kill(run.pid, number)
            code, _, err = run.finish()
        assert "Traceback" not in err, (delay_s, err)
        assert code in ({0} if opened else {0, 128 + number}), (delay_s, err)
        assert run.head() > run._head or code == 128 + number, (delay_s, err)


def test_second_ctrl_c_is_answered(broker: Broker, tmp_path: Path) -> None:
    broker.create_topic("impatient", 1)
    produce(broker, "impatient", clicks(100), partitions=1)
    with Run(broker.bootstrap, "impatient", tmp_path, "--checkpoint=30s") as run:
        run.wait_for_version(1)
        os.kill(run.pid, signal.SIGINT)
        time.sleep(0.5)  # two signals at once are one
        os.kill(run.pid, signal.SIGINT)
        assert run.wait_to_hear("stopping now") == "stopping now\n"
        code, out, _ = run.finish()
    assert (code, json.loads(out)["ended"]) == (0, "stopped")
