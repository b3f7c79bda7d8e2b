"""`strandline predict`: events in, scores with the version that gave them out."""

import sys
from collections.abc import Iterator
from contextlib import ExitStack
from datetime import datetime
from typing import Annotated, BinaryIO

import typer

from strandline.cli.arguments import Json, StoreUrl
from strandline.cli.lines import read_lines
from strandline.cli.output import err, out, plural, print_json_line, printable
from strandline.errors import EventRejected
from strandline.reading.model import open_model
from strandline.reading.reader import Reader
from strandline.store import open_store

Number = Annotated[
    int | None, typer.Option("--version", help="Predict with this version; default: head.")
]
AsOf = Annotated[
    datetime | None,
    typer.Option(
        "--as-of",
        formats=["%Y-%m-%dT%H:%M:%S%z", "%Y-%m-%dT%H:%M:%S.%f%z"],
        metavar="TIME",
        help="Predict with the newest version that is not later, as in 2026-01-31T12:00:00Z.",
    ),
]
LearnerName = Annotated[
    str | None, typer.Option("--learner", help="Which one, if several learners predict.")
]
Follow = Annotated[bool, typer.Option("--follow", help="Predict with the newest version, always.")]


def command(
    store: StoreUrl,
    *,
    version: Number = None,
    as_of: AsOf = None,
    learner: LearnerName = None,
    follow: Follow = False,
    json: Json = False,
) -> None:
    """Predict events from standard input, one JSON object a line; no label is needed.

    Prints one line for each line, in order: score and version. An event that cannot be decoded
    gets a line with its error, and the exit code is then 2. An empty line gets an empty line, with
    --json `null`.

    Example: `strandline predict ./model --json < events.ndjson`
    """
    if follow + (version is not None) + (as_of is not None) > 1:
        raise typer.BadParameter("expected one of --follow, --version and --as-of, got several")
    opened = open_store(store)
    failed = total = 0
    with ExitStack() as stack:
        reader = stack.enter_context(Reader(opened)) if follow else None
        fixed = None if reader else open_model(opened, version, as_of=as_of)
        for number, line in events_from(sys.stdin.buffer):
            model = reader.model if reader else fixed
            assert model is not None, "one of the two is there"
            if not line.strip():
                print("null" if json else "", flush=True)
                continue
            total += 1
            try:
                scores = model.predict([line], learner)
            except EventRejected as error:
                failed += 1
                show_error(number, str(error), json)
            else:
                show_score(float(scores.scores[0]), scores.version, json)
    if failed:
        raise EventRejected(
            f"{failed} of {plural(total, 'event')} could not be decoded, see the output"
        )


def events_from(stream: BinaryIO) -> Iterator[tuple[int, bytes]]:
    """Yield the lines, numbered from 1; say at a terminal what is expected."""
    if stream.isatty():
        err().print("events, one JSON object a line; Ctrl-D ends", style="dim")
    return enumerate(read_lines(stream), 1)


def show_score(score: float, version: int, json: bool) -> None:
    """Print one prediction."""
    if json:
        print_json_line({"score": score, "version": version})
    else:
        print(f"{score:.6f}  version {version}", flush=True)


def show_error(number: int, message: str, json: bool) -> None:
    """Print one line in place of a prediction."""
    if json:
        print_json_line({"error": message, "line": number})
    else:
        out().print(f"error: line {number}: {printable(message)}", soft_wrap=True)
