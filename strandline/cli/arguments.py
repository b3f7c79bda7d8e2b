"""Arguments and options that several commands share."""

from typing import Annotated

import typer

StoreUrl = Annotated[
    str, typer.Argument(metavar="STORE", help="The store's folder.", show_default=False)
]
SpecFile = Annotated[
    str, typer.Argument(metavar="SPEC", help="The model's spec, a TOML file.", show_default=False)
]
Json = Annotated[bool, typer.Option("--json", help="Print JSON, for programs.")]
