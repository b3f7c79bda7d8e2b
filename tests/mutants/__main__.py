"""Plant each bug of `planted` in a copy of the repository, and see its tests fail.

    make mutants
    make mutants ARGS="--only durable"

First the named tests run on the copy as it is and must pass: a test that fails anyway notices
nothing. Then each bug is planted alone, and each of its tests must fail. Exit code 1 if a bug
goes unnoticed. The copy shares nothing with the checkout that a test could change.
"""

import argparse
import json
import os
import shutil
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from pathlib import Path
from queue import SimpleQueue
from typing import Any, Final, NamedTuple

from rich.console import Console
from rich.table import Table

from tests.mutants.mutant import Mutant
from tests.mutants.planted import MUTANTS

ROOT: Final = Path(__file__).parents[2]
TIMEOUT_S: Final = 300
PASSED, FAILED, NOT_COLLECTED = 0, 1, 2
"""What pytest ends with. A file that cannot be collected any more has noticed the bug, too."""


class Outcome(NamedTuple):
    """What the tests said of a bug. `unnoticed`: those of its tests that passed."""

    mutant: Mutant
    unnoticed: tuple[str, ...]
    seconds: float


def main() -> int:
    """Run the mutants that the command line asks for."""
    arguments = argparse.ArgumentParser(description=(__doc__ or "").split("\n")[0])
    arguments.add_argument("--only", default="", metavar="TEXT", help="bugs whose words have this")
    arguments.add_argument("--jobs", type=int, default=2, help="copies to work in at once")
    arguments.add_argument("--json", action="store_true", help="end with one JSON object")
    options = arguments.parse_args()
    chosen = [each for each in MUTANTS if options.only in each.bug]
    if not chosen:
        arguments.error(f"no bug has the words {options.only!r}; without --only all are planted")
    console = Console(stderr=True, highlight=False)
    with copies(options.jobs) as folders:
        tests = sorted({test for each in chosen for test in each.tests})
        console.print(f"{len(tests)} tests without a bug ...")
        if (code := run(folders.get(), tests)) != PASSED:
            console.print(f"they do not pass (pytest ended with {code}): mend them first")
            return FAILED
    with copies(options.jobs) as folders, ThreadPoolExecutor(options.jobs) as pool:
        outcomes = []
        for outcome in pool.map(lambda mutant: try_out(folders, mutant), chosen):
            outcomes.append(outcome)
            verdict = "UNNOTICED" if outcome.unnoticed else "noticed"
            progress = f"{len(outcomes):3}/{len(chosen)}"
            console.print(f"{progress} {outcome.seconds:5.1f} s  {verdict}: {outcome.mutant.bug}")
    unnoticed = [each for each in outcomes if each.unnoticed]
    if options.json:
        sys.stdout.write(json.dumps(document(outcomes)) + "\n")
    else:
        Console(highlight=False).print(table(outcomes))
    console.print(f"{len(outcomes) - len(unnoticed)} of {len(outcomes)} bugs were noticed")
    return FAILED if unnoticed else PASSED


def try_out(folders: "SimpleQueue[Path]", mutant: Mutant) -> Outcome:
    """Plant a bug in a copy, run its tests one by one, and take it out again."""
    folder, begun_s = folders.get(), time.monotonic()
    file = folder / mutant.file
    sound = file.read_text("utf-8")
    try:
        file.write_text(planted(sound, mutant), "utf-8")
        unnoticed = tuple(test for test in mutant.tests if run(folder, [test]) == PASSED)
    finally:
        file.write_text(sound, "utf-8")
        folders.put(folder)
    return Outcome(mutant, unnoticed, time.monotonic() - begun_s)


def planted(text: str, mutant: Mutant) -> str:
    """Return the file's text with the bug. Raises ValueError unless its place is there once."""
    if text.count(mutant.code) != 1:
        raise ValueError(
            f"{mutant.file} has {text.count(mutant.code)} times what the bug {mutant.bug!r}"
            f" replaces, expected once: {mutant.code}"
        )
    return text.replace(mutant.code, mutant.instead)


def run(folder: Path, tests: Sequence[str]) -> int:
    """Return what pytest ends with; a run that hangs counts as a failure of its tests."""
    command = [sys.executable, "-m", "pytest", "-q", "-x", "-p", "no:cacheprovider", *tests]
    path = os.pathsep.join([str(folder), str(folder / "connectors")])
    environment = os.environ | {"PYTHONPATH": path, "PYTHONDONTWRITEBYTECODE": "1"}
    try:
        done = subprocess.run(
            command,
            cwd=folder,
            env=environment,
            capture_output=True,
            check=False,
            timeout=TIMEOUT_S,
        )
    except subprocess.TimeoutExpired:
        return FAILED
    if done.returncode not in (PASSED, FAILED, NOT_COLLECTED):
        sys.stderr.write(done.stdout.decode() + done.stderr.decode())
    return done.returncode


@contextmanager
def copies(count: int) -> Iterator["SimpleQueue[Path]"]:
    """Copies of what git tracks, with the compiled kernels beside it."""
    folders: SimpleQueue[Path] = SimpleQueue()
    with tempfile.TemporaryDirectory(prefix="strandline-mutants-") as name:
        for number in range(count):
            folder = Path(name) / str(number)
            for part in ("strandline", "connectors", "tests", "docs", "examples", "jobs", "bench"):
                shutil.copytree(ROOT / part, folder / part)
            for file in ("pyproject.toml", "README.md", "ARCHITECTURE.md"):
                shutil.copy2(ROOT / file, folder / file)
            folders.put(folder)
        yield folders


def table(outcomes: Sequence[Outcome]) -> Table:
    """Return one row per bug."""
    made = Table("bug", "in", "noticed by", title="planted bugs")
    for each in outcomes:
        tests = "\n".join(
            f"[red]not by {test}[/red]" if test in each.unnoticed else test.split("::")[-1]
            for test in each.mutant.tests
        )
        made.add_row(each.mutant.bug, Path(each.mutant.file).name, tests)
    return made


def document(outcomes: Sequence[Outcome]) -> dict[str, Any]:
    """Return the JSON of all outcomes."""
    return {
        "mutants": [
            {
                "bug": each.mutant.bug,
                "file": each.mutant.file,
                "noticed": not each.unnoticed,
                "seconds": round(each.seconds, 1),
                "tests": list(each.mutant.tests),
            }
            for each in outcomes
        ]
    }


if __name__ == "__main__":
    sys.exit(main())
