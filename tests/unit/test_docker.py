"""The image and the compose file: form, pins, and what they expose. Nothing here runs them."""

import os
import re
import signal
import subprocess
import sys
import sysconfig
import time
import tomllib
from pathlib import Path
from typing import Any

import pytest
import yaml

ROOT = Path(__file__).parents[2]
DOCKER = ROOT / "docker"
JARS = ROOT / "connectors" / "strandline_flink" / "jars" / "jars.lock"
SCRIPTS = Path(sysconfig.get_path("scripts"))
COMPOSE: dict[str, Any] = yaml.safe_load((DOCKER / "compose.yaml").read_text())
SERVICES: dict[str, dict[str, Any]] = COMPOSE["services"]
DOCKERFILE = (DOCKER / "Dockerfile").read_text()
RELEASE = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]["version"]


def check(*command: str | Path) -> subprocess.CompletedProcess[str]:
    return subprocess.run(command, capture_output=True, text=True, timeout=60, check=False)


def test_the_linter_finds_nothing_in_the_dockerfile() -> None:
    done = check(SCRIPTS / "hadolint", DOCKER / "Dockerfile")
    assert done.returncode == 0, done.stdout + done.stderr


def test_the_linter_bites(tmp_path: Path) -> None:
    (tmp_path / "Dockerfile").write_text("FROM python\nRUN pip install numpy\n")
    assert check(SCRIPTS / "hadolint", tmp_path / "Dockerfile").returncode != 0


def schema(file: Path) -> subprocess.CompletedProcess[str]:
    tool = SCRIPTS / "check-jsonschema"
    return check(tool, "--builtin-schema", "vendor.compose-spec", file)


def test_the_compose_file_follows_its_schema(tmp_path: Path) -> None:
    done = schema(DOCKER / "compose.yaml")
    assert done.returncode == 0, done.stdout + done.stderr
    (tmp_path / "compose.yaml").write_text("services: {kafka: {imagine: kafka}}")
    assert schema(tmp_path / "compose.yaml").returncode != 0, "it would find a mistake"


def test_scripts_parse() -> None:
    done = check("bash", "-n", DOCKER / "job.sh")
    assert (done.returncode, done.stderr) == (0, "")


def test_every_image_is_an_exact_release() -> None:
    images = re.findall(r"^FROM (\S+)", DOCKERFILE, re.MULTILINE)
    images += [service["image"] for service in SERVICES.values()]
    assert len(images) == 2 + len(SERVICES)
    assert all(re.search(r":\d+\.\d+\.\d+(-[a-z-]+)?$", image) for image in images), images


def test_the_releases_are_those_that_are_tested() -> None:
    tags = dict(service["image"].split(":") for service in SERVICES.values())
    assert tags["strandline"] == RELEASE
    assert f'"org.apache.kafka:kafka_2.13:{tags["apache/kafka"]}"' in JARS.read_text()
    pythons = set(re.findall(r"^FROM python:([\d.]+)-", DOCKERFILE, re.MULTILINE))
    assert len(pythons) == 1, "the copied environment belongs to one Python"


def test_nothing_runs_as_root_or_listens_beyond_this_machine() -> None:
    assert re.findall(r"^USER (\S+)", DOCKERFILE, re.MULTILINE)[-1] == "10001"
    for name, service in SERVICES.items():
        assert int(service["user"]) > 0, name
        assert service["cap_drop"] == ["ALL"], name
        assert "privileged" not in service, name
        assert all(port.startswith("127.0.0.1:") for port in service.get("ports", [])), name


def test_a_service_that_waits_for_health_waits_for_one_that_tells_it() -> None:
    conditions = {
        (name, needed): wait["condition"]
        for name, service in SERVICES.items()
        for needed, wait in service.get("depends_on", {}).items()
    }
    for (_, needed), condition in conditions.items():
        healthy = condition == "service_healthy"
        assert ("healthcheck" in SERVICES[needed]) == healthy, needed
    waits_for = {needed for name, needed in conditions if name == "job"}
    assert waits_for == {"topic", "jobmanager", "taskmanager"}


def test_what_can_be_scaled_has_no_name_and_no_port_of_its_own() -> None:
    assert not {"container_name", "ports", "hostname"} & set(SERVICES["taskmanager"])


@pytest.mark.parametrize(("code", "seen"), [(0, 0), (9, 0), (4, 4)])
def test_only_a_superseded_job_is_not_started_again(tmp_path: Path, code: int, seen: int) -> None:
    done = subprocess.run(
        [DOCKER / "job.sh", "spec.toml"],
        env=with_command(tmp_path, f"raise SystemExit({code})"),
        timeout=30,
        check=False,
    )
    assert done.returncode == seen


def test_the_stop_of_a_container_reaches_the_job(tmp_path: Path) -> None:
    job = (
        "import os, signal, sys, time\n"
        "def stop(*_):\n"
        "    time.sleep(0.5)\n"
        "    os.write(1, b'one more version\\n')\n"
        "    sys.exit(0)\n"
        "signal.signal(signal.SIGTERM, stop)\n"
        "print('running', flush=True)\n"
        "time.sleep(60)\n"
    )
    environment = with_command(tmp_path, job)
    with subprocess.Popen(
        [DOCKER / "job.sh"], env=environment, stdout=subprocess.PIPE, text=True
    ) as process:
        assert process.stdout is not None
        assert process.stdout.readline() == "running\n"
        began_s = time.monotonic()
        process.send_signal(signal.SIGTERM)
        assert process.stdout.read() == "one more version\n"
        assert process.wait(20) == 0
        assert time.monotonic() - began_s < 20


def with_command(folder: Path, code: str) -> dict[str, str]:
    """An environment in which `strandline` is this code: a job that ends as the test needs it."""
    command = folder / "strandline"
    command.write_text(f"#!{sys.executable}\n{code}\n")
    command.chmod(0o755)
    return {**os.environ, "PATH": f"{folder}{os.pathsep}{os.environ['PATH']}"}
