"""`strandline init`: a store from a spec."""

from typing import Annotated

import typer

from strandline.cli.arguments import Json, SpecFile, StoreUrl
from strandline.cli.output import out, print_json
from strandline.spec import Spec
from strandline.store import ReadableBy, create_store

HELP = "Who may read the files: owner, group or all.  [default: group, less the umask]"


def command(
    spec: SpecFile,
    store: StoreUrl,
    readable_by: Annotated[ReadableBy | None, typer.Option(help=HELP, metavar="WHOM")] = None,
    json: Json = False,
) -> None:
    """Make a store for a model.

    The store begins at version 0, without parameters. A store that is there with the same spec
    is left as it is; with another spec it is refused.

    Example: `strandline init clicks.toml ./model`
    """
    model = Spec.load(spec)
    made = create_store(store, model, readable_by=readable_by)
    head = made.head()
    if json:
        print_json({"head": head, "name": model.name, "spec": model.sha256, "store": made.url})
        return
    learners = ", ".join(model.learners)
    out().print(f"{made.url}: model {model.name}, learners {learners}, head is version {head}")
