"""What the brokers hold and whether they answer, asked for by a thread that nobody waits for.

A quiet topic, brokers that are away and events behind an open transaction look the same in a store.
"""

import threading
import time
from collections import deque
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Final

from strandline.clock import wall_clock_ms
from strandline.errors import EnvironmentUnfit
from strandline_flink.launch.preflight import Ends, Topic
from strandline_flink.launch.progress import Progress
from strandline_flink.launch.troubles import Kind, Trouble

ASK_EVERY_S: Final = 2.0
ASK_A_RUNNING_JOB_EVERY_S: Final = 30.0
STILL_S: Final = 2.0
ANSWERS_OF_AN_OPEN_TRANSACTION: Final = 4  # as many with one stable offset: it stays open

Answers = deque[dict[int, Ends]]
"""Where the partitions ended when the brokers were last asked, oldest first."""


@contextmanager
def listening(topic: Topic, progress: Progress) -> Iterator[None]:
    """Keep what `progress` says of the topic true."""
    stop = threading.Event()

    def listen() -> None:
        answers: Answers = deque(maxlen=ANSWERS_OF_AN_OPEN_TRANSACTION)
        asked_s = time.monotonic()
        while not stop.wait(ASK_EVERY_S):
            moves = progress.still_s < STILL_S and not progress.heard
            if not moves or time.monotonic() - asked_s > ASK_A_RUNNING_JOB_EVERY_S:
                asked_s = time.monotonic()
                ask(topic, progress, answers)

    threading.Thread(target=listen, name="listening", daemon=True).start()
    try:
        yield
    finally:
        stop.set()


def ask(topic: Topic, progress: Progress, answers: Answers) -> None:
    """Ask the topic's brokers where its partitions end, and add what they say to the `answers`."""
    asked_ms = wall_clock_ms()
    try:
        progress.ends = topic.all_ends()
    except EnvironmentUnfit as error:
        # Once they are silent a version is no answer: it may be of events that were read before.
        progress.hear(Kind.BROKER, Trouble(Kind.BROKER, asked_ms, str(error)))
        return
    progress.hear(Kind.BROKER, None)
    answers.append(progress.ends)
    waiting = behind_transactions(topic.name, progress.positions, answers)
    found = Trouble(Kind.TRANSACTION, asked_ms, waiting) if waiting else None
    progress.hear(Kind.TRANSACTION, found)


def behind_transactions(topic: str, positions: dict[str, int], answers: Answers) -> str:
    """Words for the partitions whose reader stands at a transaction that stays open, "" for none.

    It stays open if the partition's last stable offset is the same in as many answers as are kept.
    """
    if len(answers) < ANSWERS_OF_AN_OPEN_TRANSACTION:
        return ""
    before, ends = answers[0], answers[-1]
    waiting = [
        f"partition {partition} stands at offset {end.stable}, {end.newest - end.stable} offsets "
        "before its end"
        for partition, end in sorted(ends.items())
        if end.stable < end.newest
        and partition in before
        and before[partition].stable == end.stable
        and positions.get(str(partition), end.stable) >= end.stable
    ]
    if not waiting:
        return ""
    return f"topic {topic} waits behind a producer's open transaction: {'; '.join(waiting)}"
