"""A second reading of a store's line of versions: files, JSON and SHA-256, none of our code."""

import hashlib
import json
from collections import Counter
from pathlib import Path
from typing import Any

Event = tuple[int, int]


def line_of(store_url: str) -> list[dict[str, Any]]:
    """Every manifest from genesis to head: numbers are dense, each names its parent's digest.

    A version moves the entry of one stream, the one it belongs to, and carries the others forward.
    """
    files = sorted(Path(store_url, "versions").glob("*/*.json"))
    line: list[dict[str, Any]] = []
    parent = None
    for number, file in enumerate(files):
        data = file.read_bytes()
        manifest = json.loads(data)
        assert (int(file.stem), manifest["version"]) == (number, number)
        assert manifest["parent"] == parent, f"version {number} does not follow from the one before"
        if line:
            before, after = line[-1]["streams"], manifest["streams"]
            moved = {name for name in after if after[name] != before.get(name)}
            assert moved == {stream_of(manifest)}
            assert set(before) <= set(after)
        line.append(manifest)
        parent = hashlib.sha256(data).hexdigest()
    return line


def stream_of(manifest: dict[str, Any]) -> str:
    """The one stream whose entry names the version itself."""
    version, streams = manifest["version"], manifest["streams"]
    (stream,) = [name for name, entry in streams.items() if entry["version"] == version]
    return str(stream)


def events_of(line: list[dict[str, Any]], stream: str) -> tuple[Counter[Event], int]:
    """How often each event is in a version of the stream, and how many the counts say there are."""
    seen: Counter[Event] = Counter()
    counted = 0
    for manifest in line:
        if manifest["kind"] == "train" and stream_of(manifest) == stream:
            body = manifest["body"]
            counted += body["counts"]["events"]
            for delta in body["deltas"]:
                for partition, first, end in delta["spans"]:
                    seen.update((partition, offset) for offset in range(first, end))
    return seen, counted
