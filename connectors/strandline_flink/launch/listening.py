"""Whether a broker answers, asked for while a run stands still: a quiet topic looks the same."""

import threading
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Final

from strandline.clock import wall_clock_ms
from strandline.errors import EnvironmentUnfit
from strandline_flink.launch.preflight import Topic
from strandline_flink.launch.progress import Progress, Silence

ASK_EVERY_S: Final = 5.0
STILL_S: Final = 5.0


@contextmanager
def listening(topic: Topic, progress: Progress) -> Iterator[None]:
    """Keep `progress.silence` true, by a thread that nobody waits for: no answer takes seconds."""
    stop = threading.Event()

    def listen() -> None:
        while not stop.wait(ASK_EVERY_S):
            progress.silence = silence_of(topic, progress)

    threading.Thread(target=listen, name="listening", daemon=True).start()
    try:
        yield
    finally:
        stop.set()


def silence_of(topic: Topic, progress: Progress) -> Silence | None:
    """Ask the topic's brokers, unless a version came of late; None if they answer.

    Once they were silent a version is no answer: it may be of events that were read before.
    """
    if progress.silence is None and progress.still_s < STILL_S:
        return None
    asked_ms = wall_clock_ms()
    try:
        topic.ends()
    except EnvironmentUnfit as error:
        return progress.silence or Silence(asked_ms, str(error))
    return None
