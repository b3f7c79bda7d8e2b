"""What every bench says, and where: progress on stderr, its result on stdout."""

import json
import shlex
import sys
import time
from argparse import ArgumentParser, Namespace
from collections.abc import Mapping, Sequence
from pathlib import Path
from types import TracebackType
from typing import Any, Final

from bench.figures import Summary
from bench.machine import describe, processor_name

RESULTS: Final = Path(__file__).parent / "results"
OURS: Final = ("--json", "--write")
STARTED_S: Final = time.monotonic()
MACHINE: Final = describe()


def parser(doc: str | None) -> ArgumentParser:
    """Return a parser for a bench's arguments, with those that all benches have.

    From here on Ctrl-C ends the bench in one word.
    """
    sys.excepthook = _excepthook
    made = ArgumentParser(description=(doc or "").partition("\n")[0])
    made.add_argument("--json", action="store_true", help="end with one JSON object on one line")
    how = made.add_mutually_exclusive_group()
    how.add_argument("--brief", action="store_true", help="for tests: seconds, never quoted")
    how.add_argument("--write", action="store_true", help="keep the result in bench/results")
    return made


def _excepthook(
    kind: type[BaseException], error: BaseException, trace: TracebackType | None
) -> None:
    if issubclass(kind, KeyboardInterrupt):
        print("interrupted", file=sys.stderr)
    else:
        sys.__excepthook__(kind, error, trace)


def progress(text: str) -> None:
    """Say on stderr what goes on."""
    print(f"{time.monotonic() - STARTED_S:7.1f} s  {text}", file=sys.stderr, flush=True)


def table(head: Sequence[str], rows: Sequence[Sequence[str]]) -> str:
    """Return a Markdown table: the first column to the left, figures to the right.

    >>> print(table(["mode", "events/s"], [["thread", "1,000"]]))
    | mode | events/s |
    |---|---:|
    | thread | 1,000 |
    """
    rule = "|---|" + "---:|" * (len(head) - 1)
    lines = [f"| {' | '.join(cells)} |" for cells in (head, *rows)]
    return "\n".join([lines[0], rule, *lines[1:]])


def cell(found: Summary, form: str = ",.0f") -> str:
    """Return a median with its spread for a table.

    >>> cell({"median": 2.0, "min": 1.0, "max": 3.0, "runs": 3}, ".1f")
    '2.0 (1.0–3.0)'
    """
    middle, low, high = (
        format(value, form) for value in (found["median"], found["min"], found["max"])
    )
    return middle if found["runs"] == 1 else f"{middle} ({low}–{high})"


def finish(name: str, result: Mapping[str, Any], table: str, args: Namespace) -> None:
    """Print the table, or the result with --json; keep both with --write.

    Parameters
    ----------
    name : str
        The bench's: `make bench-NAME`, `bench/results/PROCESSOR/NAME.json`,
        `<!-- bench:NAME -->`.
    result : mapping
        Figures, as JSON has them; units in the names.
    table : str
        Markdown.
    args : Namespace
        Of `parser`.
    """
    whole = {**result, "command": command(name, sys.argv[1:]), "machine": MACHINE}
    if args.write:
        folder = RESULTS / processor_name(MACHINE["cpu"])
        folder.mkdir(parents=True, exist_ok=True)
        kept = json.dumps({**whole, "table": table}, indent=1, sort_keys=True)
        (folder / f"{name}.json").write_text(kept + "\n")
    print(json.dumps(whole) if args.json else table, flush=True)


def command(name: str, arguments: Sequence[str]) -> str:
    """Return what to type for the same bench again.

    >>> command("scale", ["--write", "--runs", "3"])
    'make bench-scale ARGS="--runs 3"'
    """
    said = [argument for argument in arguments if argument not in OURS]
    return f"make bench-{name}" + (f' ARGS="{shlex.join(said)}"' if said else "")
