"""The containers' programs as processes of this machine, with the compose file's own arguments."""

import os
import subprocess
import sys
import time
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytest
import yaml

from strandline.manifest import TrainBody
from strandline.store import open_store, read_manifest, verify_chain
from strandline.store.chain import log
from strandline_flink.dev.broker import Broker
from strandline_flink.processes.children import dying_with_parent
from strandline_flink.processes.ports import free_port

pytestmark = pytest.mark.timeout(300)
DOCKER = Path(__file__).parents[2] / "docker"
NODE = DOCKER / "flink_node.py"
SERVICES: dict[str, dict[str, Any]] = yaml.safe_load((DOCKER / "compose.yaml").read_text())[
    "services"
]
EVENTS = 3000
READY_TIMEOUT_S = 90
JOB_TIMEOUT_S = 200


@contextmanager
def node(role: str, folder: Path, environment: Mapping[str, str]) -> Iterator[None]:
    """A container's Flink process, ready by the compose file's own check."""
    mine = {**environment, "FLINK_FOLDER": str(folder / role)}
    log = (folder / f"{role}.log").open("wb")
    command = dying_with_parent([sys.executable, NODE, role])
    with log, subprocess.Popen(command, env=mine, stdout=log, stderr=log) as process:
        try:
            deadline_s = time.monotonic() + READY_TIMEOUT_S
            while (found := check(role, mine)).returncode != 0:
                assert process.poll() is None, (folder / f"{role}.log").read_text()[-3000:]
                assert time.monotonic() < deadline_s, found.stderr
                time.sleep(0.5)
            yield
        finally:
            process.terminate()
            process.wait(20)


def check(role: str, environment: Mapping[str, str]) -> "subprocess.CompletedProcess[str]":
    test = SERVICES[role]["healthcheck"]["test"]
    assert test[:3] == ["CMD", "python", "/opt/strandline/bin/flink_node.py"]
    command = [sys.executable, NODE, *test[3:]]
    return subprocess.run(
        command, env=environment, capture_output=True, text=True, timeout=30, check=False
    )


def arguments(service: str, places: Mapping[str, str]) -> list[str]:
    """The service's command with this machine's places for the containers'."""
    command = " ".join(SERVICES[service]["command"])
    for there, here in places.items():
        assert there in command, there
        command = command.replace(there, here)
    return command.split()


@pytest.mark.long
def test_the_compose_files_programs_learn_what_its_generator_makes(
    broker: Broker, tmp_path: Path
) -> None:
    broker.create_topic("docker-clicks", 4)
    rest = free_port()
    scripts = str(Path(sys.executable).parent)
    environment = {
        **os.environ,
        "CHECKPOINTS": str(tmp_path / "checkpoints"),
        "JOBMANAGER": "localhost",
        "PATH": f"{scripts}{os.pathsep}{os.environ['PATH']}",
        "REST_PORT": str(rest),
        "RPC_PORT": str(free_port()),
    }
    kafka = {"kafka:9092": broker.bootstrap, "--topic=clicks": "--topic=docker-clicks"}
    generator = arguments("generator", kafka | {"${RATE:-2000}": "0"})
    generator += [f"--events={EVENTS}"]
    subprocess.run(generator, env=environment, timeout=60, check=True)
    spec = subprocess.run(
        ["strandline", "dev", "spec"], env=environment, stdout=subprocess.PIPE, check=True
    )
    (tmp_path / "clicks.toml").write_bytes(spec.stdout)
    job = arguments(
        "job",
        kafka
        | {
            "/opt/strandline/bin": str(DOCKER),
            "/opt/strandline/clicks.toml": str(tmp_path / "clicks.toml"),
            "/data/store": str(tmp_path / "store"),
            "jobmanager:8081": f"localhost:{rest}",
            "${WORKERS:-1}": "1",
        },
    )
    assert check("jobmanager", environment).returncode != 0
    with node("jobmanager", tmp_path, environment):
        assert check("taskmanager", environment).returncode != 0
        with node("taskmanager", tmp_path, environment):
            done = subprocess.run(
                [*job, "--bounded"], env=environment, timeout=JOB_TIMEOUT_S, check=False
            )
    assert done.returncode == 0
    store = open_store(str(tmp_path / "store"))
    assert verify_chain(store, files=True) == store.head()
    bodies = [manifest.body for manifest in log(store)]
    assert sum(body.counts.events for body in bodies if isinstance(body, TrainBody)) == EVENTS
    positions = read_manifest(store, store.head()).streams["events"].positions
    assert (len(positions), sum(positions.values())) == (4, EVENTS)
    assert list((tmp_path / "checkpoints").iterdir()), "checkpoints are where all can read them"
