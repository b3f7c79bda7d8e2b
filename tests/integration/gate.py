"""A port in front of another one, which can keep back what the other one sends."""

import socket
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from typing import Self

HOST = "127.0.0.1"
CHUNK_BYTES = 1 << 16


class Gate:
    """Joins every connection to a port of its own with one to a port behind it, on this machine.

    Closed, it keeps what comes from behind, as a network does that hangs: nothing ends and nothing
    fails. What goes there it always passes on.
    """

    def __init__(self, behind: int) -> None:
        self._behind = behind
        self._listener = socket.create_server((HOST, 0))
        self.port: int = self._listener.getsockname()[1]
        self._sockets = [self._listener]
        self._open = threading.Event()
        self._open.set()
        self._once: Callable[[], bool] = lambda: True
        self._kept = threading.Event()

    @property
    def keeps(self) -> bool:
        """Whether something came from behind that it did not pass on, since it was closed."""
        return self._kept.is_set()

    @contextmanager
    def closed(self, once: Callable[[], bool] = lambda: True) -> Iterator[None]:
        """Keep what comes from behind once this holds, until the block ends; pass it on then."""
        self._once = once
        self._kept.clear()
        self._open.clear()
        try:
            yield
        finally:
            self._open.set()

    def __enter__(self) -> Self:
        threading.Thread(target=self._accept, daemon=True).start()
        return self

    def __exit__(self, *_: object) -> None:
        self._open.set()
        for each in self._sockets:
            shut(each)

    def _accept(self) -> None:
        with suppress(OSError):  # it was shut
            while True:
                front, _ = self._listener.accept()
                self._sockets.append(front)
                try:
                    behind = socket.create_connection((HOST, self._behind))
                except OSError:  # nobody listens there, so nobody does here
                    shut(front)
                    continue
                self._sockets.append(behind)
                for way in ((front, behind, False), (behind, front, True)):
                    threading.Thread(target=self._pass_on, args=way, daemon=True).start()

    def _pass_on(self, source: socket.socket, sink: socket.socket, from_behind: bool) -> None:
        with suppress(OSError):  # one end is gone: so is the other one
            while data := source.recv(CHUNK_BYTES):
                if from_behind and not self._open.is_set() and self._once():
                    self._kept.set()
                    self._open.wait()
                sink.sendall(data)
        shut(source)
        shut(sink)


def shut(each: socket.socket) -> None:
    """End a connection or a listener, and wake up who waits for it."""
    with suppress(OSError):
        each.shutdown(socket.SHUT_RDWR)
    each.close()
