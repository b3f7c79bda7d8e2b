"""Faults: each happens to a scene and is over when its function returns."""

import os
import shutil
import signal
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Final

import psutil
from confluent_kafka import Producer
from confluent_kafka.admin import AdminClient, NewPartitions

from tests.chaos.scene import TOPIC, Scene
from tests.streams import clicks

PARTITIONS_MAX: Final = 5
Fault = Callable[[Scene], None]


def kill_everything(scene: Scene) -> None:
    """SIGKILL to the whole run, at any moment of its life, as often as not while it starts."""
    scene.run.kill()
    scene.start()
    if scene.rng.random() < 0.5:
        scene.pause(0, 6)
        scene.run.kill_rest()
        scene.start()


def kill_a_process(scene: Scene) -> None:
    """SIGKILL to one process: Java, a Python worker, the store agent, the command itself."""
    victim = scene.any_process(lambda _: True)
    if victim is not None:
        victim.kill()


def kill_the_agent(scene: Scene) -> None:
    """SIGKILL to the process that makes the commits."""
    victim = scene.any_process(lambda each: "strandline.commit.agent" in each.cmdline())
    if victim is not None:
        victim.kill()


def freeze_a_process(scene: Scene) -> None:
    """SIGSTOP to one process, and SIGCONT some seconds later."""
    victim = scene.any_process(lambda _: True)
    if victim is not None:
        victim.suspend()
        scene.pause(0.5, 6)
        if victim.is_running():
            victim.resume()


def leave_a_zombie(scene: Scene) -> None:
    """The whole run is frozen, another takes over, and the first one wakes up."""
    frozen = scene.run
    os.killpg(frozen.pid, signal.SIGSTOP)
    scene.start()
    scene.wait_for_more(2)
    os.killpg(frozen.pid, signal.SIGCONT)
    scene.pause(1, 5)
    frozen.kill_rest()


def start_a_second_job(scene: Scene) -> None:
    """Another run of the same stream starts while the first one runs."""
    first = scene.run
    scene.start()
    scene.wait_for_more(2)
    first.kill_rest()


def stop_in_order(scene: Scene) -> None:
    """SIGTERM, and another number of workers and shards."""
    os.kill(scene.run.pid, signal.SIGTERM)
    scene.run.finish()
    scene.start()


def kill_the_broker(scene: Scene) -> None:
    """SIGKILL to the broker, which comes back on its port."""
    scene.broker.kill()
    scene.pause(0, 4)
    scene.broker.start()


def freeze_the_broker(scene: Scene) -> None:
    """Connections are made, and nothing is said."""
    os.kill(scene.broker.pid, signal.SIGSTOP)
    scene.pause(1, 8)
    os.kill(scene.broker.pid, signal.SIGCONT)


def move_the_store_away(scene: Scene) -> None:
    """The store's folder is gone for a while, as a mount may be."""
    here = Path(scene.run.store_url)
    away = here.with_name("away")
    here.rename(away)
    scene.pause(0.2, 4)
    if here.exists():  # a start made a folder where nothing stood
        shutil.rmtree(here)
    away.rename(here)


def add_a_partition(scene: Scene) -> None:
    """The topic gets a partition more, and events in it."""
    if scene.producing.partitions < PARTITIONS_MAX:
        count = scene.producing.partitions + 1
        admin = AdminClient({"bootstrap.servers": scene.broker.bootstrap})
        admin.create_partitions([NewPartitions(TOPIC, count)])[TOPIC].result(30)
        scene.pause(0.5, 1)
        scene.producing.partitions = count


def abort_a_transaction(scene: Scene) -> None:
    """A producer's transaction is aborted, or open for some seconds and then committed."""
    producer = Producer(
        {"bootstrap.servers": scene.broker.bootstrap, "transactional.id": "chaos", "acks": "all"}
    )
    producer.init_transactions(30)
    producer.begin_transaction()
    for partition, event in enumerate(clicks(2, seed=scene.rng.randrange(10**6))):
        producer.produce(TOPIC, event, partition=partition)
    producer.flush(30)
    if scene.rng.random() < 0.5:
        scene.pause(0, 3)
        producer.commit_transaction(30)
    else:
        producer.abort_transaction(30)


def compact_and_kill(scene: Scene) -> None:
    """A compactor that removes old data is killed at any moment, or ends."""
    options = ["--every", "3", "--keep-versions", "40", "--gc"]
    command = [sys.executable, "-m", "strandline.cli", "compact", scene.run.store_url, *options]
    with subprocess.Popen(command, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL) as running:
        if scene.rng.random() < 0.5:
            scene.pause(0.5, 3)
            psutil.Process(running.pid).kill()


FAULTS: Final[tuple[Fault, ...]] = (
    kill_everything,
    kill_a_process,
    kill_the_agent,
    freeze_a_process,
    leave_a_zombie,
    start_a_second_job,
    stop_in_order,
    kill_the_broker,
    freeze_the_broker,
    move_the_store_away,
    add_a_partition,
    abort_a_transaction,
    compact_and_kill,
)
