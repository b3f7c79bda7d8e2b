"""The application: the library's own commands, and those that other packages add.

A package adds commands by an entry point in the group `strandline.commands` that names a function
`register(add: strandline.cli.lazy.Add) -> None`. Only the command that is called is imported.
"""

from importlib.metadata import entry_points, version
from typing import Annotated, Final

import typer

from strandline.cli.lazy import SETTINGS
from strandline.cli.outcome import Commands, Session, exit_codes
from strandline.cli.output import err

GROUP: Final = "strandline.commands"
NEEDS: Final = "in a clone of Strandline: pip install ."
OWN: Final = {
    "init": "Make a store for a model.",
    "learn": "Learn from a file of events, without Kafka and without Flink.",
    "log": "List the versions of a store, newest first.",
    "top": "Watch a store: speed, quality, positions, age.",
    "show": "Show everything one version records; list rejected events.",
    "predict": "Predict events from standard input.",
    "compact": "Write full copies of the parameters, so that opening stays fast.",
    "warm": "Compile ahead what predicting and learning need, for images.",
    "fsck": "Check every version, file and base of a store.",
}


def make_app() -> Commands:
    """Return the application with all commands."""
    app = typer.Typer(
        name="strandline",
        cls=Commands,
        help="Models that follow an event stream: every version is one atomic commit of an exact "
        "prefix of the stream.",
        epilog=exit_codes(),
        context_settings={"help_option_names": ["-h", "--help"]},
        **SETTINGS,
    )
    app.callback()(options)
    commands = typer.main.get_command(app)
    assert isinstance(commands, Commands), "the class given above"
    for name, summary in OWN.items():
        commands.add_lazy(name, f"strandline.cli.{name}", summary, needs=NEEDS)
    for entry in sorted(entry_points(group=GROUP), key=lambda entry: entry.name):
        try:
            register = entry.load()
        except ImportError as error:  # a package that is damaged leaves the others at work
            err().print(f"warning: the commands of {entry.value} are missing: {error}")
        else:
            register(commands.add_lazy)
    return commands


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
