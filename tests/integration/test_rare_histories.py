"""Histories that take longer to provoke: zombies, compacted topics, failures at awkward moments."""

import os
import shutil
import signal
import subprocess
import time
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from functools import partial
from pathlib import Path

import psutil
import pytest
from kafka import KafkaProducer
from kafka.admin import ConfigResource, ConfigResourceType, KafkaAdminClient

from strandline.manifest import OpenBody
from strandline.reading.model import open_model
from strandline.store.chain import log
from strandline_flink.dev.broker import Broker
from strandline_flink.dev.reading import read_topic
from strandline_flink.failure import RUN_FOLDER
from tests.integration.harness import (
    Run,
    check_exact,
    ends,
    items_of,
    positions,
    produce,
    python_workers,
    restored_opens,
)
from tests.integration.live import Producing
from tests.streams import clicks

pytestmark = [pytest.mark.rare, pytest.mark.timeout(300)]
COMPACTED_WITHIN_S = 90
LATE_S = 0.3


def test_zombie_that_wakes_after_a_newer_open_is_refused(broker: Broker, tmp_path: Path) -> None:
    """All its processes sleep while another run takes over; awake, it commits nothing more."""
    topic = "zombie"
    broker.create_topic(topic, 2)
    zombie, heir = (Run(broker.bootstrap, topic, tmp_path) for _ in range(2))
    with Producing(broker, topic), zombie:
        zombie.wait_for_version(3)
        os.killpg(zombie.pid, signal.SIGSTOP)
        with heir:
            heir.wait_for_version(3)
            os.killpg(zombie.pid, signal.SIGCONT)
            code, _, err = zombie.finish()
            heir.wait_for_more(3)
            heir.stop()
    assert code == 9, err
    assert "is held by run" in err
    with Run(broker.bootstrap, topic, tmp_path, "--bounded") as last:
        last.summary()
    check_exact(broker, topic, last.store_url)


def job_log(run: Run) -> str:
    """What the job's JVM has logged so far."""
    for process in run.processes():
        with suppress(psutil.Error):
            folder = process.environ().get(RUN_FOLDER)
            if folder is not None:
                logs = Path(folder, "log").glob("*")
                return "".join(each.read_text(errors="replace") for each in logs)
    return ""


def has_failed(run: Run, times: int) -> bool:
    return job_log(run).count("to RESTARTING") >= times


def test_failure_before_the_first_checkpoint_goes_on_from_the_same_open(
    broker: Broker, tmp_path: Path
) -> None:
    """Nothing is restored: the parts start again as fresh ones, and find what was opened."""
    topic = "before-the-first"
    broker.create_topic(topic, 2)
    produce(broker, topic, clicks(500))
    with Run(broker.bootstrap, topic, tmp_path, "--bounded") as first:
        first.summary()
    produce(broker, topic, clicks(500, seed=1))
    options = ("--parallelism=2", "--mode=process", "--checkpoint=20s")
    with Run(broker.bootstrap, topic, tmp_path, *options) as run:
        for failures in (1, 2):  # long before the first barrier
            run.wait_until("Python workers", lambda: len(python_workers()) >= 2)
            for worker in python_workers():
                worker.kill()
            run.wait_until(f"failure {failures}", partial(has_failed, run, failures))
        run.wait_for_events({0: 500, 1: 500})
        run.stop()
    opens = [each.body for each in log(run.store) if isinstance(each.body, OpenBody)]
    assert [body.key.restored for body in opens] == [None, None], "one open of each run"
    check_exact(broker, topic, run.store_url)


def visible(broker: Broker, topic: str) -> list[tuple[int, bytes | None]]:
    """Offset and value of what a reader of the topic's one partition is given."""
    end = ends(broker, topic)[0]
    records = read_topic(broker.bootstrap, topic, {0: (0, end)}, timeout_s=30)
    return [(offset, value) for _, offset, value in records]


def send(
    broker: Broker, topic: str, values: list[bytes], *, keys: int, commit: bool | None = None
) -> None:
    """Send values under so many keys; in a transaction if `commit` says how it ends."""
    name = None if commit is None else f"{topic}-transaction"
    producer = KafkaProducer(bootstrap_servers=broker.bootstrap, transactional_id=name)
    if commit is not None:
        producer.init_transactions()
        producer.begin_transaction()
    for index, value in enumerate(values):
        producer.send(topic, key=b"%d" % (index % keys), value=value, partition=0)
    producer.flush()
    if commit is not None:
        (producer.commit_transaction if commit else producer.abort_transaction)()
    producer.close()


def test_compaction_and_aborted_transactions_leave_holes_around_the_stores_position(
    broker: Broker, tmp_path: Path
) -> None:
    """The run goes on at an offset that is gone, and counts what a reader is given, each once."""
    topic = "holes"
    broker.create_topic(
        topic, 1, cleanup_policy="compact", segment_ms=500, min_cleanable_dirty_ratio=0.01,
        max_compaction_lag_ms=500,
    )  # fmt: skip
    send(broker, topic, clicks(100), keys=7)
    with Run(broker.bootstrap, topic, tmp_path, "--bounded") as first:
        assert first.summary()["events"] == 100
    send(broker, topic, clicks(50, 1), keys=5, commit=False)
    send(broker, topic, clicks(200, 2), keys=40, commit=True)
    wait_until_compacted(broker, topic, 100)
    compact_no_more(broker, topic)
    left = [(offset, value) for offset, value in visible(broker, topic) if offset >= 100]
    offsets = [offset for offset, _ in left]
    assert offsets[0] > 100, "the store's position lies in a hole"
    with Run(broker.bootstrap, topic, tmp_path, "--bounded") as second:
        summary = second.summary()
    assert summary["events"] == len(left) < 201
    assert positions(second.store_url) == {"0": summary["positions"]["0"]}
    assert offsets[-1] < summary["positions"]["0"] <= ends(broker, topic)[0]
    expected, _ = items_of([*clicks(100), *(value or b"" for _, value in left)])
    model = open_model(second.store)
    assert {item: model.count(item) for item in expected} == expected


def wait_until_compacted(broker: Broker, topic: str, position: int) -> None:
    """An event now and then closes segments; what is closed is compacted in the background."""
    deadline_s = time.monotonic() + COMPACTED_WITHIN_S
    while True:
        send(broker, topic, clicks(1, 3), keys=1)
        offsets = [offset for offset, _ in visible(broker, topic) if offset >= position]
        if len(offsets) < 150:
            return
        assert time.monotonic() < deadline_s, f"{len(offsets)} of {position}.. are still there"
        time.sleep(1)


def compact_no_more(broker: Broker, topic: str) -> None:
    """The topic stays as it is: the broker would go on between a look at it and the run's."""
    settings = {"cleanup.policy": "delete"}
    admin = KafkaAdminClient(bootstrap_servers=broker.bootstrap)
    admin.alter_configs([ConfigResource(ConfigResourceType.TOPIC, topic, configs=settings)])
    admin.close()


@contextmanager
def slow_file_system(process: psutil.Process) -> Iterator[None]:
    """Whatever the process asks of files, other than reading and writing what is open, is late."""
    calls = "open,openat,stat,newfstatat,statx,link,linkat,fsync"
    slow = ["-e", f"trace={calls}", "-e", f"inject={calls}:delay_enter={LATE_S * 1e6:.0f}"]
    attached = ["strace", "-f", "-o", os.devnull, *slow, "-p", str(process.pid)]
    with subprocess.Popen(attached, stderr=subprocess.DEVNULL) as tracer:
        yield
        assert tracer.poll() is None, "the tracer went away"
        tracer.terminate()


@pytest.mark.skipif(shutil.which("strace") is None, reason="needs strace to hold calls back")
def test_slow_store(broker: Broker, tmp_path: Path) -> None:
    """Every call of the store takes its time, of commits, workers and mergers: the job goes on."""
    topic = "slow-store"
    broker.create_topic(topic, 2)
    with Run(broker.bootstrap, topic, tmp_path, "--parallelism=2", "--mode=thread") as run:
        with Producing(broker, topic):
            run.wait_for_version(3)
            (job,) = (each for each in run.processes() if each.name() == "java")
            with slow_file_system(job):
                began_s = time.monotonic()
                run.wait_for_more(4)
                took_s = time.monotonic() - began_s
            run.wait_for_more(3)
        run.wait_for_events(ends(broker, topic))
        summary = run.stop()
    assert took_s > 4 * 5 * LATE_S, f"{took_s:.1f} s for four versions: nothing was slow"
    assert restored_opens(run.store) == 0, "slow is no failure"
    assert summary["events"] == sum(ends(broker, topic).values())
    check_exact(broker, topic, run.store_url)
