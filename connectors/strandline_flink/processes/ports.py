"""Ports of this machine: which are free, and who holds one that is not."""

import os
import random
import socket
from collections.abc import Iterator
from contextlib import suppress
from pathlib import Path
from typing import Final

from strandline.errors import EnvironmentUnfit

HOST: Final = "127.0.0.1"
PORTS: Final = range(20_000, 32_000)  # below the ports that outgoing connections take
LISTENING: Final = "0A"  # the state's number in /proc/net/tcp


def free_port() -> int:
    """A port that nobody listens on now."""
    return next(port for port in random.sample(PORTS, len(PORTS)) if is_free(port))


def is_free(port: int) -> bool:
    """Whether a server could listen there now."""
    with socket.socket() as probe:
        probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)  # as servers do
        try:
            probe.bind((HOST, port))
        except OSError:
            return False
    return True


def check_free(port: int, what: str) -> None:
    """Raise `EnvironmentUnfit`, naming who listens there, if `what` cannot listen on the port."""
    if not is_free(port):
        raise EnvironmentUnfit(
            f"{what} cannot start: port {port} is taken by {holder(port)}. End that, or choose"
            " another --port"
        )


def holder(port: int) -> str:
    """Name the process that listens on the port, as far as this user may know."""
    sockets = {f"socket:[{inode}]" for inode in listening(port)}
    for process in Path("/proc").glob("[0-9]*"):
        with suppress(OSError):  # another user's process, or one that ended
            if any(os.readlink(each) in sockets for each in (process / "fd").iterdir()):
                command = (process / "cmdline").read_bytes().split(b"\0")
                shown = " ".join(part.decode(errors="replace") for part in command if part)
                return f"process {process.name} ({shown:.80})"
    return "a process of another user"


def listening(port: int) -> Iterator[str]:
    """Yield the inodes of the sockets that listen on the port."""
    for table in ("/proc/net/tcp", "/proc/net/tcp6"):
        with suppress(OSError):
            for line in Path(table).read_text().splitlines()[1:]:
                fields = line.split()
                if fields[3] == LISTENING and int(fields[1].rpartition(":")[2], 16) == port:
                    yield fields[9]
