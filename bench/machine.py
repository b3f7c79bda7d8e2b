"""What a bench ran on: figures mean nothing without it."""

import os
import platform
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path
from typing import Any, Final

import psutil

PACKAGES: Final = ("strandline", "apache-flink", "numba", "numpy", "msgspec")


def describe() -> dict[str, Any]:
    """Return processor, cores, memory, kernel, Python, packages, and the load before the bench."""
    return {
        "cpu": cpu_model(),
        "cores": len(os.sched_getaffinity(0)),
        "kernel": platform.release(),
        "load": round(os.getloadavg()[0], 2),
        "memory_gib": round(psutil.virtual_memory().total / 2**30, 1),
        "packages": {name: found for name in PACKAGES if (found := version_of(name))},
        "python": platform.python_version(),
    }


def cpu_model() -> str:
    """Return the processor's name, its architecture if it has none."""
    for line in Path("/proc/cpuinfo").read_text().splitlines():
        key, _, value = line.partition(":")
        if key.strip() == "model name":
            return value.strip()
    return platform.machine()


def version_of(package: str) -> str | None:
    """Return the version of an installed package."""
    try:
        return version(package)
    except PackageNotFoundError:
        return None
