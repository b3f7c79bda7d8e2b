"""Large elements between Java and Python in a process of its own: files in memory, by their names.

Java makes the folder and ends it, see `ElementFiles.java`; whoever reads a file removes it first.
"""

import mmap
import os
from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import Final

from strandline_flink.operators import wire

LARGE_BYTES: Final = 1 << 16


class Handles:
    """One operator's side of the exchange. In thread mode no handle ever comes, nor goes."""

    def __init__(self) -> None:
        self._folder: Path | None = None
        self._written = 0

    def take(self, element: bytes) -> bytes | mmap.mmap:
        """Return the element that a handle names, or the element that is none.

        The mapping is the last thing that holds the file: memory is free when it is dropped.
        """
        if wire.kind(element) != wire.HANDLE:
            return element
        path = Path(os.fsdecode(element[1:]))
        self._folder = path.parent
        with path.open("rb") as file:
            path.unlink()
            # All pages at once: a fault for each would cost more than reading them.
            flags = mmap.MAP_SHARED | mmap.MAP_POPULATE
            return mmap.mmap(file.fileno(), 0, flags=flags, prot=mmap.PROT_READ)

    def hand_over(self, elements: Iterable[bytes]) -> Iterator[bytes]:
        """Yield the elements, the large ones as handles beside those that came, if any came."""
        for element in elements:
            if self._folder is None or len(element) < LARGE_BYTES:
                yield element
            else:
                yield self._write(self._folder, element)

    def _write(self, folder: Path, element: bytes) -> bytes:
        path = folder / f"answer-{self._written}"
        self._written += 1
        try:
            path.write_bytes(element)
        except OSError:  # no space is left: Java's side says so as well, and sends what it has
            path.unlink(missing_ok=True)
            return element
        return wire.HANDLE + os.fsencode(path)
