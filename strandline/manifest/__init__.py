"""The manifest: the immutable JSON file that is a version.

The top level and `streams` hold only integers, strings and objects, so another language renders
them to the same bytes. The body of a `train` version holds floats; it is rendered once, by the
worker's side, and spliced in as text ever after.
"""

from strandline.manifest.bodies import (
    Body,
    Counts,
    DeltaEntry,
    FileEntry,
    GenesisBody,
    OpenBody,
    OpenKey,
    Prequential,
    Rejects,
    TrainBody,
)
from strandline.manifest.codec import (
    check_canonical,
    genesis,
    newer_format,
    parse_manifest,
    render_manifest,
)
from strandline.manifest.manifest import Kind, Manifest, StreamEntry
from strandline.manifest.spans import Span, join_spans
from strandline.manifest.values import INT64_MAX, Count, FileRef, Index, Name, Positions, Uuid

__all__ = [
    "INT64_MAX",
    "Body",
    "Count",
    "Counts",
    "DeltaEntry",
    "FileEntry",
    "FileRef",
    "GenesisBody",
    "Index",
    "Kind",
    "Manifest",
    "Name",
    "OpenBody",
    "OpenKey",
    "Positions",
    "Prequential",
    "Rejects",
    "Span",
    "StreamEntry",
    "TrainBody",
    "Uuid",
    "check_canonical",
    "genesis",
    "join_spans",
    "newer_format",
    "parse_manifest",
    "render_manifest",
]
