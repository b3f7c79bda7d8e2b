"""Base files, and the parameters of a version: the newest base not after it plus later deltas.

A base holds, per table, `<table>/values` and, for sparse tables, `<table>/rows`; it names its
version, the SHA-256 of that version's manifest and a digest over its arrays' bytes in name order.
A base saves time and nothing else: the fold from genesis gives the same bits. So a damaged base is
passed over with a warning in favour of an older one, or of genesis.
"""

import hashlib
import logging
from collections.abc import Mapping, Sequence
from typing import Final

import numpy as np

from strandline.encoding.canonical import sha256_hex
from strandline.encoding.tensors import Tensors, decode, encode
from strandline.errors import DeltaDamaged, FileMissing, HistoryGone, StoreDamaged, VersionGone
from strandline.learners.base import Learner
from strandline.learners.loading import empty_parameters, schemas_of
from strandline.manifest import FileEntry, Manifest, TrainBody
from strandline.parameters.delta import DeltaFile, ModelChanges, Schemas
from strandline.store.base import Store
from strandline.store.chain import following, manifest_bytes, read_verified
from strandline.tables.changes import Changes
from strandline.tables.memory import check_memory
from strandline.tables.shards import WHOLE, Shard, shard_table
from strandline.tables.table import DenseTable, Parameters, Table, TableSchema, apply_changes

FORMAT: Final = "1"
METADATA_KEYS: Final = {"digest", "format", "manifest", "version"}

_log = logging.getLogger(__name__)


def read_changes(
    store: Store, manifest: Manifest, schemas: Schemas, shard: Shard = WHOLE
) -> list[ModelChanges]:
    """Return the changes that a version makes, in the order in which everybody applies them.

    Of a shard only those of its rows; files without any are not read.

    Raises
    ------
    FileMissing
        If a file is not there.
    StoreDamaged
        If a file is altered.
    DeltaDamaged
        If a file is none that the version may name.
    """
    if not isinstance(manifest.body, TrainBody):
        return []
    found = []
    for file in manifest.body.files:
        held = Shard(file.shard, file.shards)
        if shard.meets(held):
            changes = _read_delta(store, manifest.version, file, schemas)
            if held != shard:
                changes = {name: shard.select(change) for name, change in changes.items()}
            found.append(changes)
    return found


def _read_delta(store: Store, version: int, file: FileEntry, schemas: Schemas) -> ModelChanges:
    data = store.read("delta", file.ref)
    try:
        read = DeltaFile.decode(data, schemas)
        if read.shard != Shard(file.shard, file.shards):
            raise DeltaDamaged(
                f"it is of shard {read.shard.number} of {read.shard.of}, the version says shard"
                f" {file.shard} of {file.shards}"
            )
    except DeltaDamaged as error:
        raise DeltaDamaged(
            f"{store.url}: delta {file.sha256} of version {version}: {error}; older versions can be"
            " opened, `strandline fsck` says what else is damaged"
        ) from error
    return read.changes


def parameters_at(
    store: Store, learners: Mapping[str, Learner], version: int, shard: Shard = WHOLE
) -> Parameters:
    """Return the parameters of a version, to be changed freely by the caller; a shard's if asked.

    Raises
    ------
    VersionGone
        If compaction removed data of the version; the message names the oldest one that opens.
    StoreDamaged
        If a file is missing or altered.
    EnvironmentUnfit
        If the tables can take more memory than the machine has.
    """
    check_memory(schemas_of(learners).values(), shard.of)
    while True:
        bases = store.bases()
        try:
            return _fold(store, learners, [at for at in bases if at <= version], version, shard)
        except (FileMissing, HistoryGone) as error:
            now = store.bases()
            if now == bases:
                later = [at for at in now if at > version]
                if not later:
                    raise
                raise _gone(store, version, later[0]) from error
            # A compactor removed what was being read, and has written a newer base before.


def is_covered(store: Store, version: int) -> bool:
    """Return whether a base stands after the version: then the changes after it may be gone."""
    return max(store.bases(), default=0) > version


def _gone(store: Store, version: int, oldest: int) -> VersionGone:
    return VersionGone(
        f"{store.url}: the data of version {version} was removed by compaction; the oldest version"
        f" that can be opened is {oldest}, the newest {store.head()}: open one of these, and keep"
        " more with `strandline compact --keep-versions`"
    )


def _fold(
    store: Store,
    learners: Mapping[str, Learner],
    bases: Sequence[int],
    version: int,
    shard: Shard,
) -> Parameters:
    """Add the deltas up to the version to the newest of the bases that is sound."""
    schemas = schemas_of(learners)
    start, parameters = _newest_sound(store, learners, bases, shard)
    for at in following(store, read_verified(store, start), version):
        apply_changes(parameters, read_changes(store, at.manifest, schemas, shard))
    return parameters


def _newest_sound(
    store: Store, learners: Mapping[str, Learner], bases: Sequence[int], shard: Shard
) -> tuple[int, Parameters]:
    """Return the newest base that is sound, with its version; genesis if there is none."""
    for at in sorted(bases, reverse=True):
        try:
            return at, read_base(store, at, learners, shard)
        except FileMissing:
            continue  # removed since it was listed
        except StoreDamaged as error:
            _log.warning(
                "base %d is passed over: %s; remove the file, opening works without it", at, error
            )
    return 0, empty_parameters(learners, shard)


def encode_base(version: int, manifest: bytes, parameters: Parameters) -> bytes:
    """Return the base file of a version's parameters; the same parameters give the same bytes."""
    tensors: Tensors = {}
    for name, table in parameters.items():
        if isinstance(table, DenseTable):
            tensors[f"{name}/values"] = table.values
        else:
            tensors[f"{name}/rows"], tensors[f"{name}/values"] = table.items()
    metadata = {
        "digest": _digest(tensors),
        "format": FORMAT,
        "manifest": sha256_hex(manifest),
        "version": str(version),
    }
    return encode(tensors, metadata)


def read_base(
    store: Store, version: int, learners: Mapping[str, Learner], shard: Shard = WHOLE
) -> Parameters:
    """Read a base, of a shard if asked, and check all of it; `StoreDamaged` says what is wrong."""
    tensors, metadata = decode(store.base(version))
    if set(metadata) != METADATA_KEYS or metadata["format"] != FORMAT:
        raise StoreDamaged(
            f"base of format {metadata.get('format')!r} with metadata {sorted(metadata)};"
            f" this release reads format {FORMAT!r} with {sorted(METADATA_KEYS)}"
        )
    manifest = sha256_hex(manifest_bytes(store, version))
    if metadata["version"] != str(version) or metadata["manifest"] != manifest:
        raise StoreDamaged(
            f"base says version {metadata['version']} with manifest {metadata['manifest']},"
            f" the store's version {version} has manifest {manifest}"
        )
    if metadata["digest"] != _digest(tensors):
        raise StoreDamaged(
            f"base has digest {_digest(tensors)}, its header says {metadata['digest']}"
        )
    schemas = schemas_of(learners)
    expected = {name for schema in schemas.values() for name in _tensor_names(schema)}
    if set(tensors) != expected:
        raise StoreDamaged(f"base has tensors {sorted(tensors)}, expected {sorted(expected)}")
    return {name: _table(schema, tensors, shard) for name, schema in schemas.items()}


def _table(schema: TableSchema, tensors: Tensors, shard: Shard) -> Table:
    values = tensors[f"{schema.name}/values"]
    if not np.all(np.isfinite(values)):
        raise StoreDamaged(f"table {schema.name}: base holds numbers that are not finite")
    try:
        if schema.row_count is not None and shard == WHOLE:
            return DenseTable(schema, values.copy())
        table = shard_table(schema, shard)
        if schema.row_count is None:
            rows = tensors[f"{schema.name}/rows"]
        else:
            rows = np.arange(schema.row_count, dtype=schema.row_dtype)
        mine = shard.select(Changes(rows, values))
        table.assign(mine.rows, mine.values)
    except ValueError as error:
        raise StoreDamaged(f"base: {error}") from error
    return table


def _tensor_names(schema: TableSchema) -> list[str]:
    parts = ["rows", "values"] if schema.row_count is None else ["values"]
    return [f"{schema.name}/{part}" for part in parts]


def _digest(tensors: Tensors) -> str:
    digest = hashlib.sha256()
    for name in sorted(tensors):
        digest.update(tensors[name].reshape(-1).view(np.uint8).data)
    return digest.hexdigest()
