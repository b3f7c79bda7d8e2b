"""The command line, `strandline`. Other packages add commands by an entry point (see `app`)."""

from strandline.cli import signals


def main() -> None:
    """Run the command line and end the process with its exit code."""
    signals.end_at_once()
    from strandline.cli import app  # noqa: PLC0415  from here on imports take long

    app.main()
