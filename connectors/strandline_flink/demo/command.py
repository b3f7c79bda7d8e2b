"""The command line of the demo."""


def command() -> None:
    """Watch it."""
