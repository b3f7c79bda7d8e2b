"""Deltas that stay in the interpreter that workers and mergers share; their keys go through Flink.

A delta of megabytes would otherwise pass through JNI twice, and through network buffers of 32 KiB
that let its worker wait for the merger. A key goes the same way in the same order, so nothing else
changes: barriers are aligned, thus no checkpoint holds a key, and a restored job's workers learn
again what was on its way.
"""

import uuid
from typing import Final
from weakref import WeakValueDictionary

from strandline.learning.worker_delta import WorkerDelta

_OWNERS: Final[WeakValueDictionary[bytes, "Held"]] = WeakValueDictionary()


class Held:
    """What one attempt of a worker has handed over and no merger has taken yet.

    It goes with the worker's function object, its only owner, however the attempt ends. Flink's
    `close` says nothing of that: it comes where the input ends, when mergers have yet to take what
    was sent, and not at all after a failure.
    """

    def __init__(self) -> None:
        self._deltas: dict[bytes, WorkerDelta] = {}

    def hand_over(self, delta: WorkerDelta) -> bytes:
        """Hold a delta, and return the key that `take` has it for. Nobody may change it now."""
        key = uuid.uuid4().bytes
        self._deltas[key] = delta
        _OWNERS[key] = self
        return key

    @staticmethod
    def take(key: bytes) -> WorkerDelta:
        """Return the delta of a key, and hold it no more.

        Raises
        ------
        LookupError
            If it was taken before, or its worker's attempt has ended: Flink restores the job.
        """
        owner = _OWNERS.pop(key, None)
        if owner is None:
            raise LookupError(
                f"no worker of this interpreter holds a delta {key.hex()}: it was taken before, "
                "or its attempt has ended; Flink restores the job from its last checkpoint"
            )
        return owner._deltas.pop(key)
