"""A folder of links to jars, for Flink's class path: nothing is copied."""

import shutil
from collections.abc import Iterable
from pathlib import Path
from typing import Final

import pyflink

FLINK_HOME: Final = Path(pyflink.__path__[0])


def link_jars(lib: Path, jars: Iterable[Path] = ()) -> None:
    """Make the folder anew, of Flink's own jars and these."""
    shutil.rmtree(lib, ignore_errors=True)
    lib.mkdir()
    for jar in (*FLINK_HOME.glob("lib/*.jar"), *jars):
        (lib / jar.name).symlink_to(jar)


def python_jar() -> Path:
    """flink-python's jar, which PyFlink keeps outside its lib folder."""
    return next(FLINK_HOME.glob("opt/flink-python-*.jar"))
