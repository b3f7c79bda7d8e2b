"""`strandline demo` as a user types it: its proof, its ends, and what it leaves behind."""

import json
import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import psutil
import pytest

from tests.integration.sockets import listening, open_to_others

START_TIMEOUT_S = 100.0  # two cores may be shared with other tests
END_TIMEOUT_S = 100.0
pytestmark = pytest.mark.timeout(300)


class Demo:
    """A running demo; its progress is read from its standard error."""

    def __init__(self, folder: Path, *options: str) -> None:
        self.folder = folder
        self._errors = folder / "stderr"
        command = [sys.executable, "-m", "strandline.cli", "demo", "--json"]
        with self._errors.open("wb") as errors:
            self.process = subprocess.Popen(
                [*command, "--folder", str(folder / "demos"), *options],
                cwd=folder,
                stdout=subprocess.PIPE,
                stderr=errors,
            )

    @property
    def errors(self) -> str:
        return self._errors.read_text()

    def wait_for(self, text: str, times: int = 1) -> None:
        """Wait until the progress says it so many times."""
        deadline_s = time.monotonic() + START_TIMEOUT_S
        while self.errors.count(text) < times:
            assert self.process.poll() is None, self.errors
            assert time.monotonic() < deadline_s, self.errors
            time.sleep(0.05)

    def end(self) -> bytes:
        """Wait for its end and return what it printed."""
        output, _ = self.process.communicate(timeout=END_TIMEOUT_S)
        assert "Traceback" not in self.errors
        return output

    def children(self) -> list[psutil.Process]:
        """All processes whose command line names this demo's folder."""
        mine = str(self.folder)
        return [
            process
            for process in psutil.process_iter(["cmdline"])
            if process.pid != self.process.pid and mine in " ".join(process.info["cmdline"] or [])
        ]

    def child(self, word: str) -> psutil.Process:
        """The child with this word in its command line."""
        (found,) = (each for each in self.children() if word in each.info["cmdline"])
        return found

    def assert_nothing_left(self) -> None:
        """Every process it started, directly or not, is gone or going."""
        psutil.wait_procs(self.children(), timeout=END_TIMEOUT_S)
        assert [each.cmdline() for each in self.children()] == []


@pytest.fixture
def demo(tmp_path: Path, request: pytest.FixtureRequest) -> Iterator[Demo]:
    running = Demo(tmp_path, *request.param)
    yield running
    running.process.kill()
    running.process.wait()
    assert running.process.stdout is not None
    running.process.stdout.close()
    for process in running.children():
        process.kill()


def run(command: str, data: bytes = b"") -> bytes:
    """Run one of the library's commands."""
    arguments = [sys.executable, "-m", "strandline.cli", *command.split()]
    return subprocess.run(arguments, input=data, capture_output=True, check=True).stdout


def assert_exact(summary: dict[str, Any]) -> None:
    assert (summary["lost"], summary["duplicated"], summary["unread"]) == (0, 0, 0)
    assert summary["produced"] == summary["learned"] + summary["rejected"] > 0
    assert summary["refused"] == 0


@pytest.mark.parametrize("demo", [("--events", "60000", "--checkpoint", "200ms")], indirect=True)
def test_every_event_is_learned_exactly_once_and_the_model_beats_a_constant(demo: Demo) -> None:
    summary = json.loads(demo.end().splitlines()[-1])
    assert demo.process.returncode == 0
    assert_exact(summary)
    assert summary["produced"] == 60_000
    assert summary["rejected"] > 0
    assert summary["versions"] >= 3
    assert summary["improvement"] >= 0.05  # 60,000 events are few; more of them make it better
    assert 0.9 < summary["calibration"] < 1.1
    assert 0 < summary["freshness_ms"]["p50"] <= summary["freshness_ms"]["p95"]
    demo.assert_nothing_left()
    store = summary["store"]
    assert json.loads(run(f"log {store} --json"))["head"] == summary["head"]
    assert json.loads(run(f"show {store} --rejects --json"))["rejects"]
    scores = run(f"predict {store} --json", run("dev events --events 5 --malformed 0 --output -"))
    assert [json.loads(line)["version"] for line in scores.splitlines()] == [summary["head"]] * 5


@pytest.mark.parametrize("demo", [("--rate", "4000")], indirect=True)
def test_ctrl_c_drains_proves_and_stops_everything(demo: Demo) -> None:
    demo.wait_for("learning from the topic")
    sockets = listening(demo.children())
    assert len(sockets) >= 3, "the broker's and Flink's"
    assert open_to_others(sockets) == []
    demo.wait_for("prediction", times=4)  # one or two of the first version
    demo.process.send_signal(signal.SIGINT)
    summary = json.loads(demo.end().splitlines()[-1])
    assert demo.process.returncode == 0
    assert_exact(summary)
    demo.assert_nothing_left()


@pytest.mark.parametrize("demo", [("--rate", "2000")], indirect=True)
@pytest.mark.parametrize(
    ("child", "log"),
    [("run", "job.log"), pytest.param("kafka.Kafka", "broker.log", marks=pytest.mark.long)],
)
def test_a_child_that_dies_ends_the_demo_with_the_name_of_its_log(
    demo: Demo, child: str, log: str
) -> None:
    demo.wait_for("learning from the topic")
    demo.child(child).kill()
    demo.end()
    assert demo.process.returncode == 3
    (named,) = (word.rstrip(".,;") for word in demo.errors.split() if word.endswith(log))
    assert Path(named).is_file()
    demo.assert_nothing_left()


@pytest.mark.parametrize("demo", [("--rate", "2000")], indirect=True)
def test_a_demo_killed_by_force_leaves_no_process(demo: Demo) -> None:
    demo.wait_for("learning from the topic")
    assert len(demo.children()) >= 4
    demo.process.kill()
    demo.process.wait()
    demo.assert_nothing_left()


@pytest.mark.parametrize("demo", [()], indirect=True)
@pytest.mark.parametrize(
    ("number", "said", "code"), [(signal.SIGINT, "starting the job", 130),
                                 (signal.SIGTERM, "starting a Kafka broker", 143)]
)  # fmt: skip
def test_a_signal_before_events_flow_ends_at_once(
    demo: Demo, number: signal.Signals, said: str, code: int
) -> None:
    demo.wait_for(said)
    demo.process.send_signal(number)
    assert demo.end() == b""
    assert demo.process.returncode == code
    demo.assert_nothing_left()
