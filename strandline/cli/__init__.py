"""The command line, `strandline`. Other packages add commands by an entry point (see `app`)."""

from strandline.cli.app import main

__all__ = ["main"]
