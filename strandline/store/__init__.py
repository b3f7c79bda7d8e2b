"""The store: one model's line of versions and the files they name."""

from strandline.manifest import FileRef
from strandline.store.base import FileKind, Store
from strandline.store.chain import log, manifest_bytes, read_manifest, read_spec, verify_chain
from strandline.store.lifecycle import ReadableBy, StoreLike, as_store, create_store, open_store
from strandline.store.memory import MemoryStore
from strandline.store.posix import PosixStore
from strandline.store.url import MEMORY_URL, store_url

__all__ = [
    "MEMORY_URL",
    "FileKind",
    "FileRef",
    "MemoryStore",
    "PosixStore",
    "ReadableBy",
    "Store",
    "StoreLike",
    "as_store",
    "create_store",
    "log",
    "manifest_bytes",
    "open_store",
    "read_manifest",
    "read_spec",
    "store_url",
    "verify_chain",
]
