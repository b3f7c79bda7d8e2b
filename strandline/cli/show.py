"""`strandline show`: all that one version records, and the events that were rejected."""

from typing import Annotated, Any

import msgspec
import typer

from strandline.cli.arguments import Json, StoreUrl
from strandline.cli.output import out, print_json
from strandline.cli.rejected import rejected_events
from strandline.cli.version_view import rejected_table, sections
from strandline.clock import wall_clock_ms
from strandline.encoding.canonical import sha256_hex
from strandline.errors import StoreError, VersionGone
from strandline.manifest import TrainBody
from strandline.store import Store, open_store
from strandline.store.chain import log as manifests
from strandline.store.chain import manifest_bytes, read_manifest

Number = Annotated[
    int | None, typer.Argument(metavar="VERSION", help="Default: head.", show_default=False)
]
Rejects = Annotated[
    bool,
    typer.Option(
        "--rejects", help="List rejected events: the version's, or without VERSION the newest."
    ),
]
File = Annotated[
    str | None,
    typer.Option(
        "--file", metavar="SHA256", show_default=False,
        help="With --rejects: of this file, that a run left which ended because of its rejects.",
    ),
]  # fmt: skip
Limit = Annotated[int, typer.Option("--limit", "-n", min=1, help="Rejected events listed.")]


def command(
    store: StoreUrl,
    version: Number = None,
    *,
    rejects: Rejects = False,
    file: File = None,
    limit: Limit = 20,
    json: Json = False,
) -> None:
    """Show everything one version records: positions, counts, quality, deltas, files.

    - **streams**: `open` is the version at which the run began, `version` the newest one of the
      stream; `positions` the offset of the next event, by partition; `seqs` the number of the last
      delta that is in the model, by worker
    - **predictions**: `calibration` is the sum of predicted probabilities per positive that came,
      1.0 is right; `RMSE` the root mean squared error, in the label's unit
    - **deltas**: what each worker learned. `on` is the version that it learned upon, `pending` the
      seqs of its own deltas that this version did not contain yet, `partition: from-to` the offsets
      that it read, `refused` why the delta was left out of the model, if it was
    - **files**: `merged on` is the version whose parameters the merge rules saw, `rows` the changed
      rows by table

    Examples:
    `strandline show ./model` (head),
    `strandline show ./model 12`,
    `strandline show ./model --rejects` (the newest rejected events, with their bytes)
    """
    opened = open_store(store)
    if version is not None and not 0 <= version <= opened.head():
        raise StoreError(
            f"{opened.url} has no version {version}: expected 0 to {opened.head()};"
            f" `strandline log {opened.url}` lists them"
        )
    if file is not None:
        print_rejected(opened, rejected_events(opened, None, file), limit, json)
        return
    if rejects:
        show_rejected(opened, version, limit, json)
        return
    number = opened.head() if version is None else version
    manifest = read_manifest(opened, number)
    if json:
        data = manifest_bytes(opened, number)
        digest = sha256_hex(data)
        print_json({"manifest": msgspec.json.decode(data), "sha256": digest, "store": opened.url})
        return
    console = out()
    for section in sections(manifest, wall_clock_ms()):
        console.print(section)


def show_rejected(store: Store, version: int | None, limit: int, json: bool) -> None:
    """Print the rejected events of one version, or the newest ones of the store."""
    found: list[dict[str, Any]] = []
    for manifest in manifests(store) if version is None else [read_manifest(store, version)]:
        if isinstance(manifest.body, TrainBody) and manifest.body.rejects.file is not None:
            try:
                found += rejected_events(store, manifest.version, manifest.body.rejects.file)
            except VersionGone:
                if version is not None:
                    raise
                break  # all older ones are gone as well
        if len(found) >= limit:
            break
    if found or json:
        print_rejected(store, found, limit, json)
    else:
        where = "" if version is None else f" in version {version}"
        out().print(f"no event was rejected{where}")


def print_rejected(store: Store, found: list[dict[str, Any]], limit: int, json: bool) -> None:
    """Print the first rejected events of these."""
    if json:
        print_json({"rejects": found[:limit], "store": store.url})
    else:
        out().print(rejected_table(found[:limit]))
