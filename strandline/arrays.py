"""Arrays as kernels take them."""

from typing import Any

import numpy as np
from numpy.typing import NDArray


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
