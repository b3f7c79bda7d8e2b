"""The Java half of the commit, compiled with its runner and started as a process."""

import atexit
import os
import shutil
import subprocess
import sys
from functools import cache
from pathlib import Path
from tempfile import mkdtemp

import strandline
from strandline_flink.jars import compiled, paths
from strandline_flink.jars.compiling import compile_java, flink_jars
from strandline_flink.processes.java_home import java

SOURCES = Path(__file__).parents[1] / "java"
TIMEOUT_S = 60
# The smallest model there is: the commit knows nothing of learners.
SPEC = """
name = "clicks"
[label]
path = "click"
[features.item]
kind = "category"
[learners.popularity]
type = "counts"
feature = "item"
"""


@cache
def class_path() -> str:
    """What the runner needs, itself included; compiled once per process."""
    classes = Path(mkdtemp(prefix="strandline-java-"))
    atexit.register(shutil.rmtree, classes)
    libraries = [compiled(), *flink_jars(), *paths("connector")]
    compile_java(sorted(SOURCES.rglob("*.java")), classes, libraries)
    return os.pathsep.join(map(str, [classes, *libraries]))


def command(*args: str | Path, runner: str, python: str = sys.executable) -> list[str]:
    """Start a class of tests/java; its arguments follow. `python` starts its store agents."""
    heap = ("-XX:+UseSerialGC", "-Xmx256m", "-XX:TieredStopAtLevel=1", "-XX:-UsePerfData")
    # Java's own warnings go to standard output, among the answers, unless told otherwise.
    quiet = ("-Xlog:disable", "-Xlog:all=warning:stderr", "-Dlog4j2.level=OFF")
    ours = (
        f"-Dstrandline.python={python}",
        f"-Dstrandline.release={strandline.__version__}",
    )
    main = ("-cp", class_path(), f"strandline.flink.{runner}")
    return [str(part) for part in (java(), *heap, *quiet, *ours, *main, *args)]


def lines(*args: str | Path, runner: str) -> list[str]:
    """The lines that a runner prints; raises with its errors if it fails."""
    result = subprocess.run(
        command(*args, runner=runner),
        capture_output=True,
        text=True,
        check=False,
        timeout=TIMEOUT_S,
    )
    assert result.returncode == 0, result.stderr
    return result.stdout.splitlines()


def answer(*args: str | Path, runner: str) -> str:
    """The last line that a runner prints."""
    return lines(*args, runner=runner)[-1]
