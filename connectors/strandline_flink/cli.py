"""The commands this package adds to `strandline`. Loaded at every call, so nothing heavy here."""

import typer

from strandline_flink import dev_commands, run_command
from strandline_flink.demo import command as demo


def register(app: typer.Typer) -> None:
    """Add the commands; the entry point of the group `strandline.commands` names this function."""
    app.command("run")(run_command.command)
    app.command("demo")(demo.command)
    app.command("run")(run_command.command)
    dev = typer.Typer(
        help="A broker and events for development and tests.",
        no_args_is_help=True,
        rich_markup_mode="markdown",
    )
    dev.command("broker")(dev_commands.broker)
    dev.command("events")(dev_commands.events)
    dev.command("spec")(dev_commands.spec)
    app.add_typer(dev, name="dev")
