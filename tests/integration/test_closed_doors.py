"""Nobody else gets in: which sockets a run listens on, and who is answered there."""

import http.client
import stat
from pathlib import Path

import psutil
import pytest
from py4j.java_gateway import GatewayParameters, JavaGateway
from py4j.protocol import Py4JError

from strandline_flink.cluster.dead_runs import PREFIX
from strandline_flink.dev.broker import Broker
from tests.integration.harness import Run, ends, produce
from tests.integration.sockets import listening, open_to_others
from tests.streams import clicks

pytestmark = pytest.mark.timeout(300)


@pytest.mark.parametrize("mode", ["thread", "process"])
def test_a_run_listens_for_this_machine_and_answers_questions_only(
    broker: Broker, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, mode: str
) -> None:
    temporary = tmp_path / "tmp"
    temporary.mkdir()
    monkeypatch.setenv("TMPDIR", str(temporary))
    topic = f"doors-{mode}"
    broker.create_topic(topic, 2)
    produce(broker, topic, clicks(200))
    assert open_to_others(listening([psutil.Process(broker.pid)])) == []
    with Run(broker.bootstrap, topic, tmp_path, "--mode", mode) as run:
        run.wait_for_events(ends(broker, topic))
        sockets = listening(run.processes())
        assert sockets, "Flink listens somewhere"
        assert open_to_others(sockets) == []
        (folder,) = temporary.glob(f"{PREFIX}*")
        assert stat.S_IMODE(folder.stat().st_mode) == 0o700
        ports = {port for _, port, name in sockets if name == "java"}
        answered = [port for port in ports if asks(port, "GET", "/overview") == 200]
        assert len(answered) == 1, "REST"
        refuse_all_but_questions(answered[0])
        refuse_calls_without_a_token(ports)
        produce(broker, topic, clicks(100, seed=1))
        run.wait_for_events(ends(broker, topic))
        assert run.stop()["ended"] == "stopped"
    assert list(temporary.iterdir()) == [], "all of it lay in the run's folder"


def refuse_all_but_questions(rest: int) -> None:
    jobs = "/jobs/" + "0" * 32
    for method, path in (
        ("PATCH", f"{jobs}?mode=cancel"),
        ("GET", f"{jobs}/yarn-cancel"),
        ("POST", f"{jobs}/stop"),
        ("POST", f"{jobs}/savepoints"),
        ("POST", "/jobs"),
        ("POST", "/v1/jobs"),
        ("POST", "/jars/upload"),
        ("GET", "/jars"),
        ("DELETE", "/cluster"),
        ("DELETE", "/v1/cluster"),
        ("GET", "/"),
        ("GET", "/index.html"),
    ):
        found = asks(rest, method, path)
        assert found in (403, 404), f"{method} {path}: {found}"
        assert found == 403 or "yarn" in path
    assert asks(rest, "GET", "/jobs/overview", Origin="http://evil.example") == 403
    assert asks(rest, "GET", "/jobs/overview", Host="evil.example") == 403
    assert asks(rest, "GET", "/v1/jobs/overview") == 200


def refuse_calls_without_a_token(ports: set[int]) -> None:
    for port in ports:
        gateway = JavaGateway(gateway_parameters=GatewayParameters(port=port, read_timeout=2))
        with pytest.raises((Py4JError, OSError, TypeError, AttributeError)):
            gateway.jvm.java.lang.System.currentTimeMillis()
        gateway.close()


def asks(port: int, method: str, path: str, **headers: str) -> int:
    """The status of a request, 0 if what listens there speaks no HTTP."""
    connection = http.client.HTTPConnection("127.0.0.1", port, timeout=5)
    try:
        connection.request(method, path, headers=headers)
        return connection.getresponse().status
    except (OSError, http.client.HTTPException):
        return 0
    finally:
        connection.close()
