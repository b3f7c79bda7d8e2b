"""The store agent: a child process that answers for a store, over its stdin and stdout.

The JVM of a Flink job starts it (`python -m strandline.commit.agent STORE_URL`) and asks one thing
at a time. A frame is a length (4 bytes, most significant first), then JSON::

    to it      {"call": "hello", "release": "0.1.0"}, then the calls of `agent_calls`
    from it    {"done": ANSWER} | {"refused": CODE, "message": TEXT}
               | {"unavailable": TEXT} | {"failed": TEXT}

*Refused* ends the job: asking again cannot help. *Unavailable*: the outcome is unknown, ask again.
*Failed* is a defect of this program. It keeps nothing between calls that matters: whoever loses it
starts another and asks again.

It ends when its stdin ends, also in the middle of a call, so it never outlives its JVM. It takes
no notice of SIGINT and SIGTERM, which a terminal or a service manager sends to every process of a
run: the JVM still needs it then for the run's last version.
"""

import os
import queue
import signal
import struct
import sys
import threading
import traceback
from importlib.metadata import version
from typing import Any, BinaryIO, Final

import msgspec

from strandline.commit.agent_calls import AnyCall, Stores
from strandline.errors import EnvironmentUnfit, NoStore, StoreUnavailable, StrandlineError

FRAME_BYTES_MAX: Final = 1 << 26
"""Of a call or an answer. A committable is at most a quarter of it, and JSON quotes it."""

_LENGTH: Final = struct.Struct(">I")


class Hello(msgspec.Struct, frozen=True, forbid_unknown_fields=True, tag_field="call", tag="hello"):
    """The first call: which release of Strandline the job was submitted with."""

    release: str


def main() -> None:
    """Answer until stdin ends."""
    for ignored in (signal.SIGINT, signal.SIGTERM):
        signal.signal(ignored, signal.SIG_IGN)
    answers = os.fdopen(os.dup(1), "wb", buffering=0)
    os.dup2(2, 1)  # what anybody prints is no answer
    calls: queue.SimpleQueue[bytes] = queue.SimpleQueue()
    reading = threading.Thread(target=_read_calls, args=(sys.stdin.buffer, calls), daemon=True)
    reading.start()
    stores = Stores(sys.argv[1])
    while True:
        answer = msgspec.json.encode(_answer(stores, calls.get()))
        try:
            _write(answers, answer)
        except BrokenPipeError:
            os._exit(0)


def _read_calls(source: BinaryIO, calls: "queue.SimpleQueue[bytes]") -> None:
    """Hand on every call. A store may keep the other thread for ever: the end is seen here."""
    while True:
        head = source.read(_LENGTH.size)
        length = _LENGTH.unpack(head)[0] if len(head) == _LENGTH.size else 0
        if not 0 < length <= FRAME_BYTES_MAX:
            os._exit(0)
        call = source.read(length)
        if len(call) != length:
            os._exit(0)
        calls.put(call)


def _write(target: Any, answer: bytes) -> None:
    frame = memoryview(_LENGTH.pack(len(answer)) + answer)
    while frame:
        frame = frame[target.write(frame) :]


def _answer(stores: Stores, data: bytes) -> dict[str, Any]:
    try:
        call = msgspec.json.decode(data, type=AnyCall | Hello)
        if isinstance(call, Hello):
            _check_release(call.release)
            return {"done": None}
        return {"done": stores.answer(call)}
    except (StoreUnavailable, NoStore) as error:  # an absent folder may be a mount that comes back
        return {"unavailable": str(error)}
    except StrandlineError as error:
        return {"refused": error.code, "message": str(error)}
    except (OSError, MemoryError) as error:
        return {"unavailable": f"{type(error).__name__}: {error}"}
    except Exception:  # noqa: BLE001  whatever it is, the JVM must hear of it
        return {"failed": traceback.format_exc()}


def _check_release(release: str) -> None:
    here = version("strandline")
    if release != here:
        raise EnvironmentUnfit(
            f"{sys.executable} has strandline {here}, the job was submitted with {release};"
            " expected the same release on every machine: install it there"
        )


if __name__ == "__main__":
    main()
