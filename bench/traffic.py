"""Events at a set rate, from a real producer that takes little of the machine."""

import os
import subprocess
from pathlib import Path
from typing import Final, Self

from strandline_flink.dev.events import EventStream
from strandline_flink.jars import paths
from strandline_flink.jars.compiling import compile_java
from strandline_flink.processes.children import dying_with_parent
from strandline_flink.processes.java_home import java

SOURCE: Final = Path(__file__).with_name("Produce.java")
EVENTS: Final = 65_536
END_S: Final = 30
HEAP: Final = ("-Xmx256m", "-XX:+UseSerialGC", "-XX:TieredStopAtLevel=1")


class Traffic:
    """Click events to all partitions of a topic, `per_second`, until it is closed."""

    def __init__(self, bootstrap: str, topic: str, per_second: int, folder: Path) -> None:
        self._arguments = [bootstrap, topic, str(prepared(folder) / "events"), str(per_second)]
        self._folder = folder
        self.produced = 0

    def __enter__(self) -> Self:
        jars = os.pathsep.join(map(str, [self._folder, *paths("broker")]))
        with (self._folder / "traffic.log").open("ab") as log:
            self._process = subprocess.Popen(
                dying_with_parent([java(), *HEAP, "-cp", jars, "Produce", *self._arguments]),
                stdin=subprocess.PIPE,
                stdout=subprocess.PIPE,
                stderr=log,
            )
        return self

    def __exit__(self, kind: object, *_rest: object) -> None:
        try:
            out, _ = self._process.communicate(b"\n", timeout=END_S)
        finally:
            self._process.kill()
        if kind is None and self._process.returncode:
            raise RuntimeError(f"the producer failed: {self._folder / 'traffic.log'}")
        self.produced = int(out or 0)


def prepared(folder: Path) -> Path:
    """Put the producer's class and its events into a folder, unless they are there."""
    events = folder / "events"
    if not events.exists():
        folder.mkdir(parents=True, exist_ok=True)
        compile_java([SOURCE], folder, paths("broker"))
        events.write_bytes(b"".join(each + b"\n" for each in EventStream(1, 0.0).events(0, EVENTS)))
    return folder
