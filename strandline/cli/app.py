"""The application: the library's own commands, and those that other packages add.

A package adds commands by an entry point in the group `strandline.commands` that names a function
`register(app: typer.Typer) -> None`. It imports what is heavy only when its command runs.
"""

from importlib.metadata import entry_points, version
from typing import Annotated

import typer

from strandline.cli import compact, init, learn, log, predict, show
from strandline.cli.outcome import EXIT_CODES, Commands, Session
from strandline.cli.output import err

GROUP = "strandline.commands"


def make_app() -> typer.Typer:
    """Return the application with all commands."""
    app = typer.Typer(
        name="strandline",
        cls=Commands,
        help="Models that follow an event stream: every version is one atomic commit of an exact "
        "prefix of the stream.",
        epilog=EXIT_CODES,
        no_args_is_help=True,
        add_completion=False,
        pretty_exceptions_enable=False,
        rich_markup_mode="markdown",
        context_settings={"help_option_names": ["-h", "--help"]},
    )
    app.callback()(options)
    for name, command in (
        ("init", init.command),
        ("learn", learn.command),
        ("log", log.command),
        ("show", show.command),
        ("predict", predict.command),
        ("compact", compact.command),
    ):
        app.command(name)(command)
    for entry in sorted(entry_points(group=GROUP), key=lambda entry: entry.name):
        try:
            register = entry.load()
        except ImportError as error:  # one package that is damaged leaves the others at work
            err().print(f"warning: the commands of {entry.value} are missing: {error}")
        else:
            register(app)
    return app


def print_version(asked: bool) -> None:
    """Print the release and end."""
    if asked:
        print(f"strandline {version('strandline')}")
        raise typer.Exit


def options(
    ctx: typer.Context,
    _version: Annotated[
        bool,
        typer.Option("--version", callback=print_version, is_eager=True, help="Print the release."),
    ] = False,
    debug: Annotated[bool, typer.Option("--debug", help="Show stack traces of errors.")] = False,
) -> None:
    """Options that stand before the command."""
    ctx.obj = Session(debug=debug)


def main() -> None:
    """Run the command line and end the process with its exit code."""
    make_app()()
