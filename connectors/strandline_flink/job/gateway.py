"""The Java process that PyFlink calls, behind a token: PyFlink's own takes calls from everybody.

`TokenGateway.java` is the other side.
"""

import os
import tempfile
import time
from pathlib import Path
from typing import Final

from py4j.java_gateway import CallbackServerParameters, GatewayParameters, JavaGateway
from pyflink import java_gateway

MAIN_CLASS: Final = "strandline.flink.TokenGateway"
PORT_BYTES: Final = 4
POLL_S: Final = 0.02


def launch_gateway() -> JavaGateway:
    """Start Java and connect to it, as PyFlink's function of this name does.

    Raises `RuntimeError` if Java ends before it has said where it listens.
    """
    with tempfile.TemporaryDirectory() as folder:  # of this user alone
        told = Path(folder, "gateway")
        environment = {**os.environ, "_PYFLINK_CONN_INFO_PATH": str(told)}
        process = java_gateway.launch_gateway_server_process(
            environment, ["-c", MAIN_CLASS, "local"]
        )
        while not told.exists():
            if process.poll() is not None:
                raise RuntimeError(f"Java ended at its start (exit code {process.returncode})")
            time.sleep(POLL_S)
        said = told.read_bytes()
    token = said[PORT_BYTES:].decode("ascii")
    return JavaGateway(
        gateway_parameters=GatewayParameters(
            port=int.from_bytes(said[:PORT_BYTES]), auto_convert=True, auth_token=token
        ),
        callback_server_parameters=CallbackServerParameters(
            port=0, daemonize=True, daemonize_connections=True, auth_token=token
        ),
    )
