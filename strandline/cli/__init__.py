"""The command line, `strandline`. Other packages add commands by an entry point (see `app`)."""

from importlib import import_module

from strandline.cli import signals


def main() -> None:
    """Run the command line and end the process with its exit code."""
    signals.end_at_once()  # before any import that takes long
    import_module("strandline.cli.home").provide_home()
    import_module("strandline.cli.app").main()
