"""A manifest's bytes: strict to read, canonical to write."""

import json
from collections.abc import Mapping
from typing import Annotated, Any, Final

import msgspec
from msgspec import Meta, Struct

from strandline.encoding.canonical import canonical_json, sha256_hex
from strandline.encoding.structs import ready
from strandline.errors import StoreDamaged
from strandline.limits import MANIFEST_BYTES_MAX
from strandline.manifest.bodies import Body, GenesisBody, OpenBody, TrainBody
from strandline.manifest.manifest import FORMAT, Fields, Kind, Manifest, StreamEntry


class _Envelope(Fields, frozen=True):
    """A manifest whose body is still text."""

    body: msgspec.Raw


class _Format(Struct):
    format: Annotated[int, Meta(gt=FORMAT)]


_BODIES: Final[dict[Kind, type[Body]]] = {
    "genesis": GenesisBody,
    "open": OpenBody,
    "train": TrainBody,
}
ready(*_BODIES.values())
_ENVELOPE: Final = msgspec.json.Decoder(_Envelope)
_NEWER: Final = msgspec.json.Decoder(_Format)
_UNREADABLE: Final = (msgspec.MsgspecError, ValueError, RecursionError)


def parse_manifest(data: bytes) -> Manifest:
    """Return the manifest that the bytes hold.

    Raises
    ------
    StoreDamaged
        If the bytes are not canonical JSON, too long, of a newer format, hold an unknown or lack
        a known key, were altered, or if the values contradict each other.

    Examples
    --------
    >>> parse_manifest(genesis("0" * 64)).kind
    'genesis'
    """
    try:
        check_canonical(data)
        envelope = _ENVELOPE.decode(data)
        _check_digest(data, envelope.digest)
        body = msgspec.json.decode(envelope.body, type=_BODIES[envelope.kind])
        fields = {name: getattr(envelope, name) for name in Fields.__struct_fields__}
        return Manifest(body=body, **fields)
    except _UNREADABLE as error:
        raise StoreDamaged(f"not a manifest: {newer_format(data) or error}") from error


def render_manifest(
    *,
    body: bytes,
    committable: str | None,
    kind: Kind,
    parent: str | None,
    spec: str,
    streams: Mapping[str, StreamEntry | Mapping[str, Any]],
    time_ms: int,
    version: int,
) -> bytes:
    """Return the manifest's bytes. `body` is canonical JSON and goes in unchanged, byte by byte."""
    rest = canonical_json(
        {
            "committable": committable,
            "format": FORMAT,
            "kind": kind,
            "parent": parent,
            "spec": spec,
            "streams": msgspec.to_builtins(streams),
            "time_ms": time_ms,
            "version": version,
        }
    )
    return seal(body, rest)


def seal(body: bytes, rest: bytes) -> bytes:
    """Return a manifest's bytes: its body, its other keys, and the digest of both.

    Parameters
    ----------
    body, rest : bytes
        Canonical JSON. `rest` has all keys but `body` and `digest`.
    """
    unsealed = b'{"body":' + body + b"," + rest[1:]  # "body" sorts before every other key
    at = len(unsealed) - len(rest) + rest.index(b',"format":')  # only "committable" is before it
    return unsealed[:at] + _seal(sha256_hex(unsealed)) + unsealed[at:]


def _seal(digest: str) -> bytes:
    return b',"digest":"' + digest.encode() + b'"'


def _check_digest(data: bytes, digest: str) -> None:
    seal = _seal(digest)
    before, _, after = data.rpartition(seal)
    found = sha256_hex(before + after)
    if found != digest:
        raise ValueError(
            f"altered: its bytes have the SHA-256 {found}, its digest says {digest}; restore it"
            " from a copy"
        )


def genesis(spec_sha256: str) -> bytes:
    """Return the bytes of version 0 of a store of this spec: no parameters, no streams."""
    return render_manifest(
        body=b"{}",
        committable=None,
        kind="genesis",
        parent=None,
        spec=spec_sha256,
        streams={},
        time_ms=0,
        version=0,
    )


def check_canonical(data: bytes) -> None:
    """Raise ValueError unless the bytes are canonical JSON of a manifest's length at most.

    Only canonical bytes are read, so a key that stands twice, a NaN or a number in another
    spelling is refused, and two readers cannot understand one manifest in two ways.
    """
    if len(data) > MANIFEST_BYTES_MAX:
        raise ValueError(f"{len(data)} bytes, at most {MANIFEST_BYTES_MAX} are allowed")
    if canonical_json(json.loads(data)) != data:
        raise ValueError("not canonical JSON")


def newer_format(data: bytes) -> str | None:
    """Return the sentence that says so if the bytes name a format newer than this release's."""
    try:
        found = _NEWER.decode(data).format
    except _UNREADABLE:
        return None
    return f"format {found} is newer than this release reads ({FORMAT}); upgrade strandline"
