"""Commands whose module is imported when they are called: a list of versions must come at once."""

from importlib import import_module
from typing import Any, Final, Protocol

import typer
from typer.core import TyperCommand, TyperGroup

from strandline.errors import EnvironmentUnfit

SETTINGS: Final[dict[str, Any]] = {
    "add_completion": False,
    "no_args_is_help": True,
    "pretty_exceptions_enable": False,
    "rich_markup_mode": "markdown",
}


class Add(Protocol):
    """Adds a command: its name, the module that holds it, and one line about it.

    The module has a function `command`, or a `typer.Typer` named `app` with several commands.
    `needs` says how to install what the module imports, where it is missing.
    """

    def __call__(self, name: str, module: str, summary: str, *, needs: str) -> None: ...


class LazyCommand(TyperCommand):
    """A command's name and one line about it; `load` imports the command itself."""

    def __init__(self, name: str, module: str, summary: str, needs: str) -> None:
        super().__init__(name, help=summary)
        self._module, self._needs = module, needs

    def load(self) -> Any:
        """Return the real command; `EnvironmentUnfit` names what has to be installed for it."""
        try:
            module = import_module(self._module)
        except ModuleNotFoundError as error:
            raise EnvironmentUnfit(
                f"`strandline {self.name}` needs the module {error.name}, which is not installed;"
                f" install it {self._needs}"
            ) from error
        app = getattr(module, "app", None)
        if app is None:
            app = typer.Typer(**SETTINGS | {"no_args_is_help": False})
            app.command(self.name)(module.command)
        return typer.main.get_command(app)


class LazyGroup(TyperGroup):
    """A group that may hold lazy commands."""

    def add_lazy(self, name: str, module: str, summary: str, *, needs: str) -> None:
        """Add a command, see `Add`."""
        self.add_command(LazyCommand(name, module, summary, needs))

    def resolve_command(self, ctx: Any, args: list[str]) -> Any:
        """Find the command that is called, and import it."""
        name, command, rest = super().resolve_command(ctx, args)
        return name, command.load() if isinstance(command, LazyCommand) else command, rest
