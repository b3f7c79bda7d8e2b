"""The whole way through Kafka and Flink in one call, for examples."""

import subprocess
import sys
import tempfile
import threading
from collections.abc import Iterable
from pathlib import Path
from typing import Final

from strandline_flink.dev.broker import Broker
from strandline_flink.dev.producing import paced, produce

TOPIC: Final = "events"
PARTITIONS: Final = 2


def run_on_topic(spec: Path, events: Iterable[bytes], store: Path) -> None:
    """Put events into a topic of a real broker, and let `strandline run --bounded` learn them.

    Raises
    ------
    EnvironmentUnfit
        If the broker cannot be started.
    subprocess.CalledProcessError
        If the run fails; it has said why on standard error.
    """
    with tempfile.TemporaryDirectory() as folder, Broker(Path(folder)) as broker:
        broker.create_topic(TOPIC, PARTITIONS)
        produce(broker.bootstrap, TOPIC, paced(events, 0, threading.Event()))
        # Versions in quick succession: the topic is full, and read within a second or two.
        command = [sys.executable, "-m", "strandline.cli", "run", str(spec), "--bounded"]
        command += ["--checkpoint", "100ms"]
        command += ["--bootstrap", broker.bootstrap, "--topic", TOPIC, "--store", str(store)]
        subprocess.run(command, check=True)
