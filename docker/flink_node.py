"""One process of a Flink cluster, for a container: jobmanager, taskmanager, or a check of either.

    flink_node.py jobmanager | taskmanager
    flink_node.py check-jobmanager | check-taskmanager

The environment names the JobManager's host (JOBMANAGER), the folder of configuration and logs
(FLINK_FOLDER), that of the checkpoints (CHECKPOINTS), which all machines share, and the ports of
the JobManager (REST_PORT, RPC_PORT).
"""

import os
import socket
import sys
from pathlib import Path
from typing import Final, NoReturn

from strandline.errors import EnvironmentUnfit
from strandline_flink.cluster import flink_rest
from strandline_flink.cluster.lib_folder import FLINK_HOME
from strandline_flink.dev.cluster import Cluster

REST_PORT: Final = int(os.environ.get("REST_PORT", "8081"))
RPC_PORT: Final = int(os.environ.get("RPC_PORT", "6123"))
SCRIPTS: Final = {"jobmanager": "jobmanager.sh", "taskmanager": "taskmanager.sh"}


def main(role: str) -> None:
    """Become the process, or end with 1 if it is not ready."""
    jobmanager = os.environ.get("JOBMANAGER", "jobmanager")
    if role in SCRIPTS:
        checkpoints = Path(os.environ.get("CHECKPOINTS", "/data/checkpoints"))
        Node(Path(os.environ.get("FLINK_FOLDER", "/flink")), jobmanager, checkpoints).become(role)
    rest = f"{jobmanager}:{REST_PORT}"
    try:
        ready = {"check-jobmanager": is_up, "check-taskmanager": is_registered}[role](rest)
    except EnvironmentUnfit as error:
        raise SystemExit(str(error)) from None
    if not ready:
        raise SystemExit(f"{role}: not ready")


class Node(Cluster):
    """The cluster's settings for a network of containers, in place of those for one machine."""

    def __init__(self, folder: Path, jobmanager: str, checkpoints: Path) -> None:
        settings = {
            "execution.checkpointing.dir": checkpoints.as_uri(),
            "execution.checkpointing.storage": "filesystem",
            "jobmanager.bind-host": "0.0.0.0",  # noqa: S104  (compose publishes loopback only)
            "jobmanager.rpc.address": jobmanager,
            "jobmanager.rpc.port": RPC_PORT,
            "rest.address": jobmanager,
            "rest.bind-address": "0.0.0.0",  # noqa: S104
            "taskmanager.bind-host": "0.0.0.0",  # noqa: S104
            "taskmanager.host": own_address(),
        }
        super().__init__(folder, port=REST_PORT, settings=settings)

    def become(self, role: str) -> NoReturn:
        """Replace this process by Flink's."""
        self._prepare()
        script = FLINK_HOME / "bin" / SCRIPTS[role]
        os.chdir(self.logs)
        os.execve(script, [str(script), "start-foreground"], self.environment())  # noqa: S606


def own_address() -> str:
    """The address of this container in its network."""
    return socket.gethostbyname(socket.gethostname())


def is_up(rest: str) -> bool:
    """Whether the JobManager answers."""
    return bool(flink_rest.flink_version(rest))


def is_registered(rest: str) -> bool:
    """Whether the JobManager knows this container's TaskManager."""
    found = flink_rest.ask(rest, "taskmanagers")["taskmanagers"]
    return any(f"@{own_address()}:" in each["path"] for each in found)


if __name__ == "__main__":
    if len(sys.argv) != 2:
        raise SystemExit(__doc__)
    main(sys.argv[1])
