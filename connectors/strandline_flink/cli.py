"""The commands this package adds to `strandline`."""

from typing import Final

from strandline.cli.lazy import Add

NEEDS: Final = "in a clone of Strandline: make setup, or pip install '.[flink]'"
"""A machine that only serves has the library alone, where these commands are listed too."""


def register(add: Add) -> None:
    """Add the commands; the entry point of the group `strandline.commands` names this function."""
    add(
        "run",
        "strandline_flink.launch.run_command",
        "Train a model from a Kafka topic.",
        needs=NEEDS,
    )
    add(
        "verify",
        "strandline_flink.verify.command",
        "Train versions again from their events, and compare the bits.",
        needs=NEEDS,
    )
    add("demo", "strandline_flink.demo.command", "See it work, all on this machine.", needs=NEEDS)
    add(
        "dev",
        "strandline_flink.dev.commands",
        "A broker, a cluster, events: for development and tests.",
        needs=NEEDS,
    )
