"""Arrays as kernels take them."""

import mmap
from contextlib import suppress
from math import prod
from typing import Any, Final

import numpy as np
from numpy.typing import NDArray

LINE_BYTES: Final = 64
"""What a processor's cache moves at once."""
_MAPPED_BYTES_MIN: Final = 1 << 22


def zeros(shape: tuple[int, ...], dtype: np.dtype[Any]) -> NDArray[Any]:
    """Return an array of zeros that random reads are quick in.

    numpy asks for huge pages for memory that it leaves as it is, not for `np.zeros`; without them
    almost every access to a large table misses the processor's page cache as well. The array begins
    with a cache line, which numpy's would not: a row of 32 bytes lies in one, not across two.

    A large array takes no memory where nobody has written: the system gives pages of zeros.
    """
    size_bytes = prod(shape) * dtype.itemsize
    if size_bytes >= _MAPPED_BYTES_MIN:
        pages = mmap.mmap(-1, size_bytes, flags=mmap.MAP_PRIVATE | mmap.MAP_ANONYMOUS)
        with suppress(OSError):  # a system without huge pages
            pages.madvise(mmap.MADV_HUGEPAGE)
        return np.frombuffer(pages, dtype).reshape(shape)
    memory = np.empty(size_bytes + LINE_BYTES, np.uint8)
    begin = -int(memory.ctypes.data) % LINE_BYTES
    array = memory[begin : begin + size_bytes].view(dtype).reshape(shape)
    array.fill(0)
    return array


def read_only(array: NDArray[Any], dtype: Any) -> NDArray[Any]:
    """Return the array as the one type that kernels take inputs in, copied only if it must be.

    A writable, strided or unaligned array would each compile a kernel again, within an epoch.
    """
    flags = array.flags
    if array.dtype != dtype or not (flags.c_contiguous and flags.aligned):
        array = np.require(array, dtype, ("C", "A"))
    view = array.view()
    view.flags.writeable = False
    return view
