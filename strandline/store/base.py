"""What a store is: files named by their content, and one line of numbered versions."""

import re
from typing import Final, Literal, Protocol

from strandline.encoding.canonical import sha256_hex
from strandline.errors import StoreDamaged, WrongUsage
from strandline.limits import DELTA_BYTES_MAX, SPEC_BYTES_MAX
from strandline.manifest import FileRef

FileKind = Literal["delta", "rejects", "spec"]

FILE_BYTES_MAX: Final[dict[FileKind, int]] = {
    "delta": DELTA_BYTES_MAX,
    "rejects": DELTA_BYTES_MAX,
    "spec": SPEC_BYTES_MAX,
}

_SHA256: Final = re.compile(r"[0-9a-f]{64}")


class Store(Protocol):
    """A place for one model's versions. One conformance suite holds for every implementation.

    Every call may raise `StoreUnavailable`; then its outcome is unknown and it may be repeated.
    """

    @property
    def url(self) -> str:
        """What `open_store` opens this store by."""
        ...

    def stage(self, kind: FileKind, data: bytes) -> FileRef:
        """Keep the bytes under their digest, durable when it returns.

        A file left by a dead attempt is verified and made durable.

        Raises
        ------
        WrongUsage
            If there are more bytes than a file of this kind may have.
        StoreDamaged
            If a file of this digest is there and holds other bytes.
        """
        ...

    def read(self, kind: FileKind, ref: FileRef | str) -> bytes:
        """Return a staged file's bytes, by reference or by SHA-256 alone.

        Raises
        ------
        FileMissing
            If it is not there.
        StoreDamaged
            If it is not of this length and digest.
        """
        ...

    def check_there(self, kind: FileKind, ref: FileRef) -> None:
        """Look whether a staged file is there with its length; its bytes are not read.

        Raises
        ------
        FileMissing
            If it is not there.
        StoreDamaged
            If it is of another length.
        """
        ...

    def staged(self, kind: FileKind) -> list[str]:
        """Return the SHA-256 that each staged file is named by, sorted."""
        ...

    def discard(self, kind: FileKind, sha256: str) -> None:
        """Remove a staged file; one that is not there is removed."""
        ...

    def append(self, version: int, manifest: bytes) -> bool:
        """Create the version; durable when it returns. False: the number was taken before.

        This is the commit point: of any number of callers exactly one creates a number. After
        False too, what holds the number is durable.
        """
        ...

    def manifest(self, version: int) -> bytes | None:
        """Return the bytes of a version's manifest, None if there is no such version.

        Raises
        ------
        HistoryGone
            If it was dropped.
        """
        ...

    def head(self, at_least: int = 0) -> int:
        """Return the newest version. `at_least` is a hint: a version that was head before.

        Raises
        ------
        NoStore
            If there is no version 0.
        """
        ...

    def pack(self) -> int:
        """Join old manifests into few files where the store can; return how many files it made.

        Nothing that the other calls answer changes: a packed number stays taken.

        Raises
        ------
        StoreDamaged
            If a version does not follow from the one before it. Nothing of its file is packed.
        """
        ...

    def history_begins(self) -> int:
        """Return the oldest version that was not dropped, 0 if none was."""
        ...

    def history_record(self) -> bytes | None:
        """Return the record of what was dropped, see `history`; None if nothing was."""
        ...

    def drop_history(self, version: int, record: bytes) -> int:
        """Keep the record, then drop what can be dropped of the versions before this one.

        This one stays: its manifest is in the record. Numbers stay taken. Returns how many files
        were dropped. May be repeated, and called by several at once.
        """
        ...

    def put_base(self, version: int, data: bytes | memoryview) -> None:
        """Keep a full copy of the parameters at a version, durable when it returns.

        A base that is there stays: every writer makes the same parameters.
        """
        ...

    def bases(self) -> list[int]:
        """Return the versions that have a base, ascending."""
        ...

    def base(self, version: int) -> memoryview:
        """Return a base's bytes, read-only and mapped where the store can.

        The bytes stay while somebody holds them, whether or not the base is discarded.

        Raises
        ------
        FileMissing
            If it is not there.
        StoreDamaged
            If it is empty.
        """
        ...

    def discard_base(self, version: int) -> None:
        """Remove a base; one that is not there is removed."""
        ...

    def check_writable(self, size_bytes: int) -> None:
        """Write so many bytes where nobody reads, and remove them.

        Raises
        ------
        StoreUnavailable
            With the reason why the store takes no file of this size.
        """
        ...

    def leftovers(self, *, discard: bool = False) -> list[str]:
        """Return the names of what dead writers left half made, and remove it if told to.

        A writer that is alive keeps its file, however long it takes.
        """
        ...


def digest_of(ref: FileRef | str) -> str:
    """Return the reference's SHA-256; raise StoreDamaged unless it is 64 lower-case hex digits.

    A digest becomes part of a path, so anything else never gets that far.
    """
    sha256 = ref if isinstance(ref, str) else ref.sha256
    if _SHA256.fullmatch(sha256) is None:
        raise StoreDamaged(f"{sha256!r:.100} is not a SHA-256: expected 64 hexadecimal digits")
    return sha256


def check_length(kind: FileKind, ref: FileRef | str, length: int, origin: str) -> None:
    """Raise StoreDamaged if a file of this length cannot be what the reference names."""
    if isinstance(ref, FileRef) and length != ref.bytes:
        raise StoreDamaged(f"{origin} has {length} bytes, its manifest says {ref.bytes}")
    if length > FILE_BYTES_MAX[kind]:
        raise StoreDamaged(f"{origin} has {length} bytes, at most {FILE_BYTES_MAX[kind]} are read")


def check_digest(data: bytes, sha256: str, origin: str) -> None:
    """Raise StoreDamaged unless the bytes have this SHA-256."""
    found = sha256_hex(data)
    if found != sha256:
        raise StoreDamaged(
            f"{origin} was altered: its SHA-256 is {found}; restore the file from a copy"
        )


def reference_to(kind: FileKind, data: bytes) -> FileRef:
    """Return the reference that the bytes are staged under; raises WrongUsage for too many."""
    if len(data) > FILE_BYTES_MAX[kind]:
        raise WrongUsage(
            f"{kind} of {len(data)} bytes, at most {FILE_BYTES_MAX[kind]} are kept;"
            " commit more often"
        )
    return FileRef(sha256=sha256_hex(data), bytes=len(data))
