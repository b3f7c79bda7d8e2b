"""The commands this package adds to `strandline`."""

from strandline.cli.lazy import Add


def register(add: Add) -> None:
    """Add the commands; the entry point of the group `strandline.commands` names this function."""
    add("run", "strandline_flink.run_command", "Train a model from a Kafka topic.")
    add("demo", "strandline_flink.demo.command", "See it work, all on this machine.")
    add(
        "dev",
        "strandline_flink.dev.commands",
        "A broker, a cluster, events: for development and tests.",
    )
