"""How much memory the tables of a model can take, and how much this machine has.

Rows that were never written take nothing, so a table fills its memory only as its rows are learned.
A spec that promises more rows than the machine can hold is refused before anything is opened: it
would end a process much later, without a word.
"""

import os
import re
from collections.abc import Iterable, Iterator
from contextlib import suppress
from pathlib import Path
from typing import Final

from strandline.errors import EnvironmentUnfit, WrongUsage
from strandline.tables.table import TableSchema

LIMIT: Final = "STRANDLINE_MEMORY_LIMIT"
"""Environment variable: takes the place of the machine's memory, as in `48GB` or `none`."""

_SIZE: Final = re.compile(r"([0-9]{1,9}(?:\.[0-9]{1,3})?) ?([kMGT]?)B", re.IGNORECASE)
_UNITS: Final = {"": 1, "k": 10**3, "m": 10**6, "g": 10**9, "t": 10**12}
_CGROUP: Final = (
    Path("/sys/fs/cgroup/memory.max"),
    Path("/sys/fs/cgroup/memory/memory.limit_in_bytes"),
)


def dense_bytes(schemas: Iterable[TableSchema]) -> int:
    """Return how many bytes the dense tables take when all of their rows are written.

    Sparse tables grow with the ids that occur; nobody can say how far.

    Examples
    --------
    >>> dense_bytes([TableSchema("ctr.zn", 2, "float32", row_count=2**20)])
    8388608
    """
    return sum(
        each.row_count * each.width * each.value_dtype.itemsize
        for each in schemas
        if each.row_count is not None
    )


def memory_limit_bytes() -> int | None:
    """Return how much memory a process may take; None if nobody says.

    That is what the environment variable STRANDLINE_MEMORY_LIMIT says, else the less of the
    machine's memory and the control group's limit.

    Raises
    ------
    WrongUsage
        If the variable is neither a size nor `none`.
    """
    told = os.environ.get(LIMIT, "").strip()
    if told.lower() == "none":
        return None
    if told:
        size = _SIZE.fullmatch(told)
        if size is None:
            raise WrongUsage(f"{LIMIT} is {told!r}, expected a size such as 48GB, or none")
        return round(float(size[1]) * _UNITS[size[2].lower()])
    return min(_limits(), default=None)


def check_memory(schemas: Iterable[TableSchema], shards: int = 1) -> None:
    """Raise EnvironmentUnfit if a shard of the tables can take more memory than a process may."""
    tables = sorted(schemas, key=lambda each: -dense_bytes([each]))
    needed, limit = dense_bytes(tables) // shards, memory_limit_bytes()
    if limit is not None and needed > limit:
        largest = tables[0]
        raise EnvironmentUnfit(
            f"the model's tables take up to {needed / 1e9:.1f} GB, expected at most the"
            f" {limit / 1e9:.1f} GB of this machine; the largest is {largest.name} with"
            f" {largest.row_count:,} rows. Lower `bits` in the spec, or set {LIMIT}=none if you"
            " know that fewer rows will ever be written"
        )


def _limits() -> Iterator[int]:
    with suppress(OSError, ValueError):
        yield os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES")
    for path in _CGROUP:
        with suppress(OSError, ValueError):  # "max" is no number
            yield int(path.read_text())
