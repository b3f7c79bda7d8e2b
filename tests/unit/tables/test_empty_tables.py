"""An empty table takes no memory until it is written, however many rows it has."""

import numpy as np
import psutil

from strandline.kernels.arrays import LINE_BYTES, zeros


def test_a_large_array_of_zeros_takes_what_is_written() -> None:
    this = psutil.Process()
    before_bytes = this.memory_info().rss
    array = zeros((1 << 28, 2), np.dtype(np.float32))
    assert array.ctypes.data % LINE_BYTES == 0
    assert not array[:: 1 << 20].any()
    array[7] = 1
    assert array[7].tolist() == [1, 1]
    assert this.memory_info().rss - before_bytes < 100 << 20
