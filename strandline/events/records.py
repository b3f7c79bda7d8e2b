"""`Records`: the bytes of events in one buffer."""

from collections.abc import Sequence
from typing import overload

import numpy as np
from numpy.typing import NDArray

from strandline.kernels.arrays import read_only

Value = bytes | None


class Records(Sequence[Value]):
    """A sequence of values, each bytes or None, that makes no object per value until asked.

    Parameters
    ----------
    data : uint8 [bytes]
        The values one after the other, read-only; there may be other bytes around them.
    begins : int64 [n]
        Where each value begins in `data`, ascending.
    lengths : int64 [n]
        Bytes of each value; -1 is None.

    Examples
    --------
    >>> records = Records.of([b"one", None, b"three"])
    >>> len(records), records[1], records[-1], list(records[1:])
    (3, None, b'three', [None, b'three'])
    """

    __slots__ = ("begins", "data", "lengths")

    def __init__(
        self, data: NDArray[np.uint8], begins: NDArray[np.int64], lengths: NDArray[np.int64]
    ) -> None:
        assert len(begins) == len(lengths), "a value has a beginning and a length"
        self.data = read_only(data, np.uint8)
        self.begins, self.lengths = read_only(begins, np.int64), read_only(lengths, np.int64)

    @classmethod
    def of(cls, values: Sequence[Value]) -> "Records":
        """Return the values in a buffer of their own."""
        if isinstance(values, Records):
            return values
        sizes = [-1 if value is None else len(value) for value in values]
        joined = b"".join([value for value in values if value is not None])
        return cls.packed(np.frombuffer(joined, np.uint8), np.array(sizes, np.int64))

    @classmethod
    def packed(cls, data: NDArray[np.uint8], lengths: NDArray[np.int64]) -> "Records":
        """Return the values that stand in `data` without gaps, from its first byte on."""
        sizes = np.maximum(lengths, 0)
        begins = np.cumsum(sizes) - sizes
        return cls(data, begins, lengths)

    def __len__(self) -> int:
        return len(self.lengths)

    @overload
    def __getitem__(self, index: int) -> Value: ...

    @overload
    def __getitem__(self, index: slice) -> "Records": ...

    def __getitem__(self, index: int | slice) -> "Value | Records":
        if isinstance(index, slice):
            assert index.step in (None, 1), "records are sliced without a step"
            return Records(self.data, self.begins[index], self.lengths[index])
        length = int(self.lengths[index])
        begin = int(self.begins[index])
        return None if length < 0 else self.data[begin : begin + length].tobytes()
