"""The decoder on memory that ends where an unreadable page begins: a step too far is a crash.

Run as a process of its own: ``python -m tests.fenced_decoding SEED RECORDS``.
"""

import ctypes
import mmap
import random
import sys
from collections.abc import Iterator
from itertools import chain, islice
from typing import Any, Final

import numpy as np
from numpy.typing import NDArray

from strandline.events.records import Records
from strandline.features import Batch, Decoder, PlainDecoder, decoder
from strandline.features.layout import Scratch
from strandline.kernels.memory import PADDING, address_of
from strandline.spec import Spec
from tests.hostile_events import events

SPECS: Final[dict[str, str]] = {
    "limits": """
name = "limits"
label.path = "y"
weight.path = "w.w"
features.a.kind = "category"
features.b = { kind = "category", path = "w.b" }
features.x = { kind = "number", path = "x", transform = "log1p" }
features.ab = { kind = "cross", of = ["a", "b"] }
learners.seen = { type = "counts", feature = "a" }
limits = { depth = 3, entries = 6, event_bytes = 200 }
""",
    "smallest": """
name = "smallest"
label.path = "y"
features.x.kind = "category"
learners.ctr.type = "ftrl"
limits = { depth = 1, entries = 1, event_bytes = 40 }
""",
    "largest": """
name = "largest"
label.path = "y"
features.x.kind = "category"
features.z = { kind = "number", path = "deep.deep.z" }
features.c = { kind = "category", path = "deep.deep.c" }
features.xc = { kind = "cross", of = ["x", "c"] }
learners.ctr.type = "ftrl"
limits = { depth = 128, entries = 65536, event_bytes = 16777216 }
""",
}
LONG_KEY: Final = "k" * 59
SPECS["long"] = f"""
name = "long"
label.path = "y"
features.x = {{ kind = "number", path = "{LONG_KEY}" }}
learners.ctr.type = "ftrl"
"""
_libc: Final = ctypes.CDLL(None, use_errno=True)
_PROTECTED: Final = 0  # PROT_NONE


def fenced(array: NDArray[Any]) -> NDArray[Any]:
    """Return a copy whose last byte is the last one before a page that nobody may touch."""
    pages = -(-array.nbytes // mmap.PAGESIZE) * mmap.PAGESIZE
    memory = mmap.mmap(-1, pages + mmap.PAGESIZE)
    whole = np.frombuffer(memory, np.uint8)
    fence = ctypes.c_void_p(address_of(whole) + pages)
    assert _libc.mprotect(fence, mmap.PAGESIZE, _PROTECTED) == 0
    copy = whole[pages - array.nbytes : pages].view(array.dtype)
    copy[:] = array
    return copy


class FencedScratch(Scratch):
    """Each of the kernel's own arrays ends at a fence."""

    def __init__(self, plan: Any) -> None:
        super().__init__(plan)
        for name, array in self._arrays.items():
            moved = fenced(array)
            self._arrays[name] = moved
            self._places[name] = address_of(moved)
            if name in ("nodes", "leaves", "features", "spans"):
                self._places[f"{name}_end"] = address_of(moved) + moved.nbytes


class FencedColumns(decoder._Columns):
    """So does each of its results."""

    def _place(self) -> None:
        for name in ("_keys", "_fields", "_values", "_labels", "_weights"):
            setattr(self, name, fenced(getattr(self, name)))
        super()._place()


def fenced_records(values: list[bytes | None]) -> Records:
    """Return the values, the last one directly before a fence."""
    records = Records.of(values)
    return Records(fenced(records.data), records.begins, records.lengths)


def joined_at_the_end() -> Iterator[list[bytes | None]]:
    """Records whose neighbours go on where they end, around the distance that is still read."""
    begun = (b'{"y":-', b'{"x":-', b'{"y":', b'{"x":"', b'{"x":"\\', b'{"x":["', b'{"', b'{"u":')
    going_on = (
        b"0." + b"0" * 10 + b"1" * 19 + b"e-",
        b"0." + b"0" * 11 + b"1" * 18 + b"E+1",
        b"1" * 19 + b"e-",
        b"x" * 31 + b"\\",
        b"x" * 31 + b"\xf0\x9f\x98",
        b"\\ud83d\\ude0",
        b"fals",
        b"nul",
        b'":',
    )
    for one in begun:
        for other in going_on:
            for distance in range(PADDING - 8, PADDING + 2):
                yield [one, (other * PADDING)[:distance]]


def expected_at_the_end() -> Iterator[list[bytes | None]]:
    """A record that ends within a key that is expected; its neighbour goes on with the key."""
    key = f',"{LONG_KEY}":'.encode()
    usual = b'{"y":1' + key + b"1}"
    rest = key[1:] + b"-0." + b"0" * 10 + b"1" * 19 + b"e-"
    for shift in range(-2, 3):
        yield [usual, usual, b'{"y":1,', rest[: PADDING + shift]]


def sound(decoding: Decoder, plain: PlainDecoder, values: list[bytes | None]) -> None:
    """Decode behind a fence, and compare."""
    records = fenced_records(values)
    for labelled in (True, False):
        batch, rejections = decoding.decode(records, labelled=labelled)
        wanted, wanted_rejections = plain.decode(values, labelled=labelled)
        assert rejections == wanted_rejections, values
        for name in Batch.__slots__:
            assert getattr(batch, name).tobytes() == getattr(wanted, name).tobytes(), (name, values)


def main() -> None:
    """Decode hostile events, compare, and say how many they were."""
    seed, count = map(int, sys.argv[1:])
    decoder.Scratch = FencedScratch  # type: ignore[attr-defined]
    decoder._Columns = FencedColumns  # type: ignore[misc]
    dice = random.Random(seed)
    done = 0
    for text in SPECS.values():
        spec = Spec.parse(text)
        fast, plain = Decoder(spec), PlainDecoder(spec)
        for values in chain(joined_at_the_end(), expected_at_the_end()):
            fast.decode(fenced_records(values))
        stream = events(spec, seed)
        for _ in range(count):
            values = list(islice(stream, dice.randrange(1, 6)))
            sound(fast, plain, values)
            done += len(values)
    print(done)


if __name__ == "__main__":
    main()
