"""How a command ends: one message and one exit code, never a stack trace for a user's error."""

import os
import signal
import sys
import tempfile
import traceback
from dataclasses import dataclass
from typing import Any, Final

import typer

from strandline.cli import signals
from strandline.cli.lazy import LazyGroup
from strandline.cli.output import err, printable
from strandline.errors import EnvironmentUnfit, StrandlineError
from strandline.store.remedies import REMEDIES

PIPE_CLOSED: Final = 141  # as if ended by SIGPIPE, like every other tool in a pipe
EXIT_CODES: Final = {
    0: "done; a `run` without an end that was asked to stop",
    1: "failed",
    2: "wrong usage, spec or event",
    3: "machine or network unfit",
    4: "the store: absent, damaged, full, read-only",
    5: "not learnable: too many rejected events, a merge that is not finite",
    6: "stream and store do not fit together",
    7: "the stream is contested by several runs",
    8: "a commit was refused",
    9: "superseded by another run: do not restart",
    10: "done, but none of the events was learned, or some were refused",
    11: "a version differs from what training again gives",
    130: "interrupted by Ctrl-C before its end: a --bounded `run` has not learned all",
    141: "the output was closed",
    143: "terminated by SIGTERM before its end",
}


def exit_codes() -> str:
    """Return the table for the help text, a paragraph per line."""
    return "\n\n".join(["Exit codes:", *(f"{code}: {why}" for code, why in EXIT_CODES.items())])


@dataclass(slots=True)
class Session:
    """What holds for one call of the command line."""

    debug: bool = False


class Commands(LazyGroup):
    """The command group at whose edge every error becomes a message and an exit code."""

    def resolve_command(self, ctx: Any, args: list[str]) -> Any:
        """Find the command and import it: from then on there is something to end in order."""
        found = super().resolve_command(ctx, args)
        signals.end_in_order()
        return found

    def invoke(self, ctx: Any) -> Any:
        """Run the command that was asked for."""
        try:
            result = super().invoke(ctx)
            sys.stdout.flush()  # a closed pipe shows here, not while the interpreter ends
        except (typer.TyperException, typer.Exit, typer.Abort):
            raise
        except StrandlineError as error:
            if debugging(ctx):
                raise
            report(str(error))
            raise typer.Exit(error.exit_code) from None
        except KeyboardInterrupt:
            raise ended_by(signal.SIGINT) from None
        except signals.Terminated:
            raise ended_by(signal.SIGTERM) from None
        except BrokenPipeError:
            os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
            raise typer.Exit(PIPE_CLOSED) from None
        except Exception as error:
            if debugging(ctx):
                raise
            if isinstance(error, OSError) and error.errno in REMEDIES:
                report(f"{error}: {REMEDIES[error.errno]}")
                raise typer.Exit(EnvironmentUnfit.exit_code) from None
            report_unexpected(error)
            raise typer.Exit(1) from None
        return result


def ended_by(number: signal.Signals) -> typer.Exit:
    """Say which signal ended the command; return its exit code, to be raised."""
    err().print(signals.WORDS[number])
    return typer.Exit(signals.EXIT_CODES[number])


def debugging(ctx: typer.Context) -> bool:
    """Whether `--debug` was given."""
    return isinstance(ctx.obj, Session) and ctx.obj.debug


def report(message: str) -> None:
    """Print one error for a person; what came from outside cannot steer the terminal."""
    err().print("error: " + printable(message, keep="\n"))


def report_unexpected(error: Exception) -> None:
    """Print one line for an error of our own, and keep its traceback in a file."""
    summary = "".join(traceback.format_exception_only(error)).strip()
    try:
        with tempfile.NamedTemporaryFile(
            "w", prefix="strandline-traceback-", suffix=".txt", delete=False
        ) as file:
            traceback.print_exception(error, file=file)
        where = f"the traceback is in {file.name}"
    except OSError:
        where = "add --debug after `strandline` to see the traceback"
    report(f"unexpected {summary.splitlines()[0]}: a bug of ours; {where}")
