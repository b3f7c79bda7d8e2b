"""Which sockets processes listen on, and which of them other machines reach."""

from collections.abc import Iterable

import psutil

LOOPBACK = ("127.", "::1", "::ffff:127.")


def listening(processes: Iterable[psutil.Process]) -> list[tuple[str, int, str]]:
    """(address, port, process) of every socket that waits for others: TCP, and bound UDP."""
    found = []
    for process in processes:
        for each in process.net_connections("inet"):
            if each.status == psutil.CONN_LISTEN or (each.type.name == "SOCK_DGRAM" and each.laddr):
                found.append((each.laddr.ip, each.laddr.port, process.name()))
    return found


def open_to_others(sockets: list[tuple[str, int, str]]) -> list[tuple[str, int, str]]:
    return [each for each in sockets if not each[0].startswith(LOOPBACK)]
