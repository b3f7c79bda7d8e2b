"""`strandline init`: a store from a spec."""

from typing import Annotated

import typer

from strandline.cli.arguments import Json, SpecFile, StoreUrl
from strandline.cli.output import byte_size, out, print_json
from strandline.learners.loading import make_learners, schemas_of
from strandline.spec import Spec
from strandline.store import ReadableBy, create_store
from strandline.tables.memory import check_memory, dense_bytes

HELP = "Who may read the files: owner, group or all.  [default: group, less the umask]"


def command(
    spec: SpecFile,
    store: StoreUrl,
    readable_by: Annotated[ReadableBy | None, typer.Option(help=HELP, metavar="WHOM")] = None,
    json: Json = False,
) -> None:
    """Make a store for a model.

    The store begins at version 0, without parameters. A store that is there with the same spec
    is left as it is; with another spec it is refused. The last line says how much memory the
    tables take in a reader once every row is written. A spec whose tables do not fit in this
    machine's memory is refused, unless the variable STRANDLINE_MEMORY_LIMIT allows more.

    Example: `strandline init clicks.toml ./model`
    """
    model = Spec.load(spec)
    tables = schemas_of(make_learners(model)).values()
    check_memory(tables)
    table_bytes = dense_bytes(tables)
    made = create_store(store, model, readable_by=readable_by)
    head = made.head()
    if json:
        print_json(
            {
                "head": head,
                "name": model.name,
                "spec": model.sha256,
                "store": made.url,
                "table_bytes": table_bytes,
            }
        )
        return
    learners = ", ".join(model.learners)
    out().print(
        f"{made.url}: model {model.name}, learners {learners}, head is version {head}; tables of a"
        f" fixed size take up to {byte_size(table_bytes)}",
        soft_wrap=True,
    )
