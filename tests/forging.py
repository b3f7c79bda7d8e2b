"""A forger: changes versions and makes every manifest agree, so that the chain is sound."""

import json
from collections.abc import Callable
from typing import Any

from strandline.encoding.canonical import canonical_json, sha256_hex
from strandline.manifest.continuity import render_committable
from strandline.store import MemoryStore, Store, manifest_bytes, read_manifest
from strandline.store.chain import references_of
from tests.golden.commit_lines import resealed

Fields = dict[str, Any]


def forged(store: Store, change: Callable[[MemoryStore, Fields], object]) -> MemoryStore:
    """Return a copy of a store; `change` gets the copy, and the fields of each version in turn."""
    copy = MemoryStore()
    parent: tuple[bytes, Fields] | None = None
    for version in range(store.head() + 1):
        manifest = read_manifest(store, version)
        copy.stage("spec", store.read("spec", manifest.spec))
        for kind, ref in references_of(manifest.body):
            copy.stage(kind, store.read(kind, ref))
        fields = json.loads(manifest_bytes(store, version))
        change(copy, fields)
        if parent is not None:
            fields["parent"] = sha256_hex(parent[0])
            if fields["kind"] == "train":
                fields["committable"] = _identity(parent[1], fields)
        data = resealed(canonical_json(fields))
        assert copy.append(version, data)
        parent = data, fields
    return copy


def _identity(parent: Fields, fields: Fields) -> str:
    (stream,) = (
        name for name, each in fields["streams"].items() if each["version"] == fields["version"]
    )
    before, after = (each["streams"][stream] for each in (parent, fields))
    spans = sorted([span for d in fields["body"]["deltas"] for span in d["spans"]])
    first: dict[str, int] = {}
    for partition, begin, _ in spans:
        if str(partition) not in before["positions"]:
            first.setdefault(str(partition), begin)
    return sha256_hex(
        render_committable(
            after=after["positions"],
            before=before["positions"],
            body=fields["body"],
            first=first,
            run=after["run"],
            seqs={str(d["worker"]): d["seq"] for d in fields["body"]["deltas"]},
            stream=stream,
            time_ms=fields["time_ms"],
        )
    )
