"""The command line, `strandline`. Other packages add commands by an entry point (see `app`)."""

from importlib import import_module

from strandline.cli import signals


def main() -> None:
    """Run the command line and end the process with its exit code."""
    signals.end_at_once()
    import_module("strandline.cli.app").main()  # its imports take long
