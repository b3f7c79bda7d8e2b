"""The lock, and fetching what it names: one jar at a time is whole and checked, or not there."""

import hashlib
import tomllib
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import AbstractContextManager, contextmanager
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from typing import TYPE_CHECKING, Literal, get_args

from rich.console import Console
from rich.progress import BarColumn, DownloadColumn, Progress, TextColumn, TimeRemainingColumn

from strandline.errors import EnvironmentUnfit
from strandline_flink.jars.cache import cache_dir, publish, scratch_dir

if TYPE_CHECKING:
    from jgo.maven import MavenContext

Group = Literal["connector", "compiler", "broker"]
GROUPS: tuple[Group, ...] = get_args(Group)

ATTEMPTS = 3
FETCHES_AT_ONCE = 16  # most are small: time goes into round trips
TIMEOUT_S = 60


@dataclass(frozen=True, slots=True)
class Jar:
    """One line of the lock."""

    coordinate: str
    sha256: str

    @property
    def name(self) -> str:
        _, artifact, version = self.coordinate.split(":")
        return f"{artifact}-{version}.jar"


@cache
def locked(group: Group) -> tuple[Jar, ...]:
    """What the lock names for a group, in the lock's order."""
    lock = tomllib.loads(Path(__file__).with_name("jars.lock").read_text())
    return tuple(Jar(coordinate, sha256) for coordinate, sha256 in lock[group].items())


def paths(group: Group) -> list[Path]:
    """The jars of a group in the lock's order, each checked against its hash on every call.

    Those that are missing are fetched first, several at a time, with progress on stderr.
    Raises `EnvironmentUnfit` if one cannot be fetched or is not the locked one.
    """
    folder = cache_dir("jars")
    jars = locked(group)
    missing = [jar for jar in jars if not (folder / jar.name).exists()]
    if missing:
        fetch(missing, folder)
    for jar in jars:
        check(jar, folder / jar.name)
    return [folder / jar.name for jar in jars]


def check(jar: Jar, file: Path) -> None:
    """Raise `EnvironmentUnfit` unless the file's bytes are the locked ones."""
    with file.open("rb") as content:
        got = hashlib.file_digest(content, "sha256").hexdigest()
    if got != jar.sha256:
        raise EnvironmentUnfit(
            f"{file} is not the jar that the lock names for {jar.coordinate}: "
            f"sha256 is {got}, expected {jar.sha256}; it is not used. "
            "Delete it and run again; if it comes back the same, it is altered on its way"
        )


def fetch(jars: Sequence[Jar], folder: Path) -> None:
    """Fetch jars into `folder`, each visible there only when it is whole, durable and checked."""
    # A start that fetches nothing has no use for 0.1 s of imports.
    from jgo.maven import MavenContext, PythonResolver  # noqa: PLC0415

    with progress(jars) as report, scratch_dir(folder) as scratch:
        resolver = PythonResolver(progress_callback=report)
        context = MavenContext(resolver, repo_cache=scratch, timeout=TIMEOUT_S)

        def fetch_one(jar: Jar) -> None:
            file = download(context, jar)
            check(jar, file)
            publish(file, folder / jar.name)

        with ThreadPoolExecutor(FETCHES_AT_ONCE) as pool:
            list(pool.map(fetch_one, jars))  # a list, so that the first error is raised


def download(context: "MavenContext", jar: Jar) -> Path:
    """The file as the repository sends it, unchecked, below the context's scratch folder."""
    artifact = context.create_dependency(jar.coordinate).artifact
    for attempts_left in reversed(range(ATTEMPTS)):
        try:
            return Path(artifact.resolve())
        except (OSError, RuntimeError) as error:  # the network's errors are OSErrors
            artifact.cached_path.unlink(missing_ok=True)
            if not attempts_left:
                raise EnvironmentUnfit(
                    f"{jar.coordinate} could not be fetched in {ATTEMPTS} attempts: {error}. "
                    "Check the network and run again: jars that did arrive are kept"
                ) from error
    raise AssertionError("the last attempt returns or raises")


Report = Callable[[str, int], AbstractContextManager[Callable[[int], None]]]


@contextmanager
def progress(jars: Sequence[Jar]) -> Iterator[Report]:
    """A bar on stderr that counts the bytes of all jars; yields what jgo calls for each jar."""
    columns = (TextColumn("fetching {task.description}"), BarColumn(), DownloadColumn())
    console = Console(stderr=True)
    with Progress(*columns, TimeRemainingColumn(), console=console) as bars:
        task = bars.add_task(f"{len(jars)} jars", total=0)

        @contextmanager
        def report(_name: str, size_bytes: int) -> Iterator[Callable[[int], None]]:
            bars.update(task, total=(bars.tasks[0].total or 0) + size_bytes)
            yield lambda count: bars.update(task, advance=count)

        yield report
