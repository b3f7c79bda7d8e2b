"""The store agent: what it is by itself, and what Java makes of its death."""

import json
import random
import signal
import struct
import subprocess
import sys
import threading
import time
import venv
from collections.abc import Iterator
from contextlib import suppress
from pathlib import Path
from typing import Any, Self

import psutil
import pytest
from msgspec.structs import replace

import strandline
from strandline.store import create_store, verify_chain
from strandline.store.base import Store
from tests.integration.harness import gone
from tests.integration.java_roles import Roles, committable
from tests.jobs import Job
from tests.streams import clicks, clicks_spec

COMMAND = (sys.executable, "-P", "-m", "strandline.commit.agent")
LENGTH = struct.Struct(">I")
MEMORY_BYTES_MAX = 60 << 20
FRAME_BYTES_MAX = 1 << 26


class Agent:
    """An agent without Java: this process asks."""

    def __init__(self, url: str) -> None:
        self.process = subprocess.Popen(
            [*COMMAND, url], stdin=subprocess.PIPE, stdout=subprocess.PIPE
        )

    def ask(self, **call: Any) -> dict[str, Any]:
        self.send(call)
        return self.answer()

    def send(self, call: dict[str, Any]) -> None:
        assert self.process.stdin is not None
        data = json.dumps(call).encode()
        self.process.stdin.write(LENGTH.pack(len(data)) + data)
        self.process.stdin.flush()

    def answer(self) -> dict[str, Any]:
        assert self.process.stdout is not None
        (length,) = LENGTH.unpack(self.process.stdout.read(LENGTH.size))
        return dict(json.loads(self.process.stdout.read(length)))

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        assert self.process.stdin is not None
        assert self.process.stdout is not None
        with suppress(BrokenPipeError):
            self.process.stdin.close()
        assert self.process.wait(timeout=60) == 0
        self.process.stdout.close()


@pytest.fixture
def store(tmp_path: Path) -> Store:
    return create_store(str(tmp_path / "store"), clicks_spec(bits=10))


@pytest.fixture
def job(store: Store) -> Job:
    return Job(store)


def epochs(job: Job, count: int) -> Iterator[str]:
    """Committables of epochs that follow each other, none of them committed yet."""
    before = job.entry.positions
    for seed in range(count):
        prepared = job.epoch({0: clicks(3, seed)})
        yield committable(prepared, before)
        before = {**before, **{str(span.partition): span.end for span in prepared.moves}}


def test_it_needs_no_numeric_library_and_little_memory(store: Store) -> None:
    code = "import strandline.commit.agent, sys; print(*sys.modules)"
    loaded = subprocess.run(
        [sys.executable, "-c", code], capture_output=True, check=True, text=True
    )
    assert not {"numpy", "numba", "llvmlite", "rich", "typer"} & set(loaded.stdout.split())
    with Agent(store.url) as agent:
        assert agent.ask(call="head") == {"done": {"head": 0}}
        assert psutil.Process(agent.process.pid).memory_info().rss < MEMORY_BYTES_MAX


def test_another_release_is_refused(store: Store) -> None:
    with Agent(store.url) as agent:
        answer = agent.ask(call="hello", release="9.9.9")
        assert answer["refused"] == "environment"
        assert f"has strandline {strandline.__version__}" in answer["message"]
        assert "submitted with 9.9.9" in answer["message"]
        assert agent.ask(call="hello", release=strandline.__version__) == {"done": None}


def test_answers_survive_a_full_pipe(store: Store) -> None:
    calls = 5_000  # many times what a pipe holds
    with Agent(store.url) as agent:

        def send() -> None:
            for _ in range(calls):
                agent.send({"call": "look", "stream": "events"})

        sender = threading.Thread(target=send)
        sender.start()
        time.sleep(0.5)
        expected = {"done": {"entry": None, "head": 0}}
        assert [agent.answer() for _ in range(calls)] == [expected] * calls
        sender.join()


def test_it_takes_what_is_larger_than_any_committable(job: Job) -> None:
    prepared = job.epoch({0: clicks(3)})
    (delta,) = prepared.body.deltas
    spans = [(0, index, index + 1) for index in range(1_000_000)]
    body = replace(prepared.body, deltas=[replace(delta, spans=spans)])
    text = replace(prepared, body=body).encode().decode()
    assert len(text) > 16 << 20
    with Agent(job.store.url) as agent:
        call = {"stream": "events", "before": job.entry.positions, "prepared": text}
        answer = agent.ask(call="commit", restored=None, **call)
        assert answer["refused"] == "refused"
        assert "at most 16777216 are allowed" in answer["message"]
        small = call | {"prepared": prepared.encode().decode()}
        assert agent.ask(call="commit", restored=None, **small)["done"]["version"] == 2


@pytest.mark.parametrize("data", [b"", b"\0\0", b"\0\0\0\0", b"\0\0\0\5{}", b"\xff\xff\xff\xff"])
def test_it_ends_where_its_input_ends_or_makes_no_sense(store: Store, data: bytes) -> None:
    agent = subprocess.run(
        [*COMMAND, store.url], input=data, capture_output=True, timeout=60, check=False
    )
    assert (agent.returncode, agent.stdout) == (0, b"")


def test_a_call_that_it_does_not_know_is_its_defect(store: Store) -> None:
    with Agent(store.url) as agent:
        for call in ({"call": "drop"}, {"call": "look"}, {"call": "look", "stream": "../x"}):
            assert "failed" in agent.ask(**call)
        assert agent.ask(call="head") == {"done": {"head": 0}}


def test_signals_to_all_processes_of_a_run_do_not_end_it(store: Store) -> None:
    with Agent(store.url) as agent:
        assert agent.ask(call="head") == {"done": {"head": 0}}
        for sent in (signal.SIGINT, signal.SIGTERM):
            agent.process.send_signal(sent)
            assert agent.ask(call="head") == {"done": {"head": 0}}


def test_a_store_that_is_away_is_waited_for(store: Store, tmp_path: Path) -> None:
    with Agent(store.url) as agent:
        Path(store.url).rename(tmp_path / "away")
        assert "unavailable" in agent.ask(call="head"), "before it was ever seen"
        (tmp_path / "away").rename(store.url)
        assert agent.ask(call="head") == {"done": {"head": 0}}
        Path(store.url).rename(tmp_path / "away")
        assert "unavailable" in agent.ask(call="look", stream="events")
        (tmp_path / "away").rename(store.url)


@pytest.mark.long
def test_a_hundred_start_at_once(store: Store) -> None:
    agents = [Agent(store.url) for _ in range(100)]
    for agent in agents:
        with agent:
            assert agent.ask(call="head") == {"done": {"head": 0}}


def test_killed_java_leaves_no_agent(job: Job) -> None:
    with Roles(job.store, job.run) as roles:
        assert roles("find") == {"version": 1}
        assert roles("fresh") == {}
        roles.write(job.epoch({}))
        (agent,) = roles.agents()
        roles.process.kill()
        assert gone([agent])


def test_roles_that_closed_leave_no_agent(job: Job) -> None:
    """A TaskManager outlives its jobs."""
    with Roles(job.store, job.run) as roles:
        assert roles("find") == {"version": 1}
        deadline_s = time.monotonic() + 30
        while roles.agents():
            assert time.monotonic() < deadline_s, "the agent outlives the last role"
            time.sleep(0.02)


def test_agent_is_killed_before_each_call(job: Job, store: Store) -> None:
    """The next call starts another one: open, find, commit, and the check of an idle job."""
    first, second = epochs(job, 2)

    def kill(roles: Roles) -> None:
        for agent in roles.agents():
            agent.kill()
            agent.wait(10)

    with Roles(store, job.run) as roles:
        assert roles("fresh") == {}
        kill(roles)
        assert roles.write(job.epoch({})) == {}  # find_open, then check_in_force
        kill(roles)
        assert roles.commit(first) == {"mine": False}
        kill(roles)
        assert roles.commit(first) == {"mine": True}
        kill(roles)
        assert roles.commit(second) == {"mine": False}
    with Roles(store, job.run) as roles:
        state = json.dumps({"positions": {"0": 6}, "run": job.run}, separators=(",", ":"))
        for _ in range(2):
            assert roles("restored", 17, state) == {}
            kill(roles)
    assert store.head() == 4
    assert verify_chain(store, files=True) == 4


def test_agents_are_killed_at_any_moment_and_every_epoch_is_committed_once(
    job: Job, store: Store
) -> None:
    """The outcome of a call is unknown then; the repeated one finds what the first one did."""
    kills, commits = 8, 0
    rng = random.Random(7)
    done = threading.Event()
    killed = 0

    def killer() -> None:
        nonlocal killed
        while killed < kills and not done.is_set():
            time.sleep(rng.uniform(0, 0.6))
            with suppress(psutil.Error):
                for agent in roles.agents():
                    agent.kill()
                    killed += 1

    with Roles(store, job.run) as roles:
        assert roles("fresh") == {}
        thread = threading.Thread(target=killer)
        thread.start()
        try:
            for epoch in epochs(job, 2_000):
                assert roles.commit(epoch).keys() == {"mine"}
                commits += 1
                if killed >= kills and commits >= kills:
                    break
        finally:
            done.set()
            thread.join()
    assert killed >= kills
    assert verify_chain(store, files=True) == store.head() == 1 + commits


def test_task_is_cancelled_while_its_agent_hangs(job: Job, store: Store) -> None:
    """It ends within its time; the hung agent is given up, and the commit repeated later."""
    (epoch,) = epochs(job, 1)
    with Roles(store, job.run) as roles:
        assert roles("fresh") == {}
        assert roles("find") == {"version": 1}  # the agent is idle after it
        (agent,) = roles.agents()
        agent.suspend()
        assert roles("cancel", "-", epoch) == {"ended": "interrupted"}
        assert gone([agent])
        assert roles.commit(epoch) == {"mine": False}


def test_hung_agent_is_given_up_and_the_call_repeated(job: Job, store: Store) -> None:
    (epoch,) = epochs(job, 1)
    quick = {"JDK_JAVA_OPTIONS": "-Dstrandline.answer_ms=2000"}
    with Roles(store, job.run, environment=quick) as roles:
        assert roles("fresh") == {}
        assert roles("find") == {"version": 1}  # the agent is idle after it
        (agent,) = roles.agents()
        agent.suspend()
        assert roles.commit(epoch) == {"mine": False}
        assert gone([agent])


def test_flood_on_the_agents_standard_error_blocks_nothing(job: Job, store: Store) -> None:
    """Python says each import when it is told to: several hundred kilobytes."""
    (epoch,) = epochs(job, 1)
    with Roles(store, job.run, environment={"PYTHONVERBOSE": "2"}) as roles:
        assert roles.commit(epoch) == {"mine": False}


def test_machine_has_no_such_python(job: Job, store: Store, tmp_path: Path) -> None:
    missing = tmp_path / "no" / "python"
    without = tmp_path / "bare" / "bin" / "python"
    venv.create(tmp_path / "bare", with_pip=False, symlinks=True)
    for python, reason in ((missing, "No such file"), (without, "No module named")):
        with Roles(store, job.run, python=str(python)) as roles:
            fatal = roles("find")["fatal"]
        assert fatal.startswith(f"STRANDLINE[environment] the job's Python {python} does not start")
        assert reason in fatal
        assert "--python" in fatal
