"""The safetensors format, written with the same bytes every time and read without copies.

Layout: u64 little-endian header length, JSON header padded with spaces to a multiple of 8, data.
The header names each tensor's dtype, shape and byte range; ranges follow one another without
holes. The library `safetensors` writes metadata in a random order, so equal deltas would get
unequal digests, and it reads metadata only from files: that is why these few lines exist. What
is written here is read by that library, and a test holds the two together.
"""

import json
from collections.abc import Mapping
from math import prod
from typing import Annotated, Any, Final, TypeAlias

import msgspec
import numpy as np
from numpy.typing import NDArray

from strandline.encoding.canonical import canonical_json
from strandline.encoding.structs import ready
from strandline.errors import StoreDamaged
from strandline.limits import MANIFEST_BYTES_MAX

Tensors: TypeAlias = dict[str, NDArray[Any]]

HEADER_BYTES_MAX: Final = MANIFEST_BYTES_MAX  # a delta's header holds what a manifest will
METADATA: Final = "__metadata__"

_CODES: Final = {
    "float32": "F32",
    "float64": "F64",
    "int64": "I64",
    "uint8": "U8",
    "uint16": "U16",
    "uint32": "U32",
    "uint64": "U64",
}
_DTYPES: Final = {code: np.dtype(name) for name, code in _CODES.items()}


_Size: TypeAlias = Annotated[int, msgspec.Meta(ge=0, le=1 << 40)]


class _Entry(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    dtype: str
    shape: Annotated[list[_Size], msgspec.Meta(max_length=2)]
    data_offsets: tuple[_Size, _Size]


ready(_Entry)


def encode(tensors: Mapping[str, NDArray[Any]], metadata: Mapping[str, str]) -> bytes:
    """Return the file: wider dtypes first, so that every tensor is aligned, then by name.

    Equal names, arrays and metadata give equal bytes, whatever order they come in.
    """
    order = sorted(tensors, key=lambda name: (-tensors[name].dtype.itemsize, name))
    header: dict[str, object] = {METADATA: dict(metadata)}
    parts: list[bytes | memoryview] = []
    end = 0
    for name in order:
        array = np.ascontiguousarray(tensors[name])
        begin, end = end, end + array.nbytes
        header[name] = {
            "data_offsets": [begin, end],
            "dtype": _CODES[array.dtype.name],
            "shape": list(array.shape),
        }
        parts.append(array.reshape(-1).view(np.uint8).data)
    head = canonical_json(header)
    head += b" " * (-len(head) % 8)
    return b"".join([len(head).to_bytes(8, "little"), head, *parts])


def decode(data: bytes | memoryview) -> tuple[Tensors, dict[str, str]]:
    """Return the arrays, as read-only views of `data`, and the metadata.

    Raises
    ------
    StoreDamaged
        If the bytes are cut, hold anything unnamed, or name what is not there.
    """
    view = memoryview(data).toreadonly().cast("B")
    size = int.from_bytes(view[:8], "little")
    if len(view) < 8 or not 2 <= size <= min(HEADER_BYTES_MAX, len(view) - 8):
        raise StoreDamaged(
            f"not a safetensors file: a header of {size} bytes in a file of {len(view)} bytes"
        )
    try:
        raw = json.loads(bytes(view[8 : 8 + size]), object_pairs_hook=_unique)
        header = msgspec.convert(raw, dict[str, Any])
        metadata = msgspec.convert(header.pop(METADATA, {}), dict[str, str])
        entries = msgspec.convert(header, dict[str, _Entry])
    except (ValueError, RecursionError) as error:
        raise StoreDamaged(f"not a safetensors file: {error}") from error
    body = view[8 + size :]
    return _arrays(entries, body), metadata


def _arrays(entries: Mapping[str, _Entry], body: memoryview) -> Tensors:
    arrays: Tensors = {}
    at = 0
    for name, entry in sorted(entries.items(), key=lambda item: item[1].data_offsets):
        begin, end = entry.data_offsets
        dtype = _DTYPES.get(entry.dtype)
        if dtype is None:
            raise StoreDamaged(
                f"tensor {name!r}: dtype {entry.dtype!r}, not one of {list(_DTYPES)}"
            )
        if begin != at or end - begin != prod(entry.shape) * dtype.itemsize or end > len(body):
            raise StoreDamaged(
                f"tensor {name!r}: bytes {begin} to {end} of {len(body)} do not hold a {dtype}"
                f" array of shape {entry.shape} that follows byte {at}"
            )
        arrays[name] = np.frombuffer(body[begin:end], dtype).reshape(entry.shape)
        at = end
    if at != len(body):
        raise StoreDamaged(f"{len(body) - at} bytes after the last tensor")
    return arrays


def _unique(pairs: list[tuple[str, object]]) -> dict[str, object]:
    found = dict(pairs)
    if len(found) != len(pairs):
        raise ValueError("a name occurs twice in the header")
    return found
