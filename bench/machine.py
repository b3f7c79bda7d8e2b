"""What a bench ran on: figures mean nothing without it."""

import os
import platform
import re
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
    """Return the processor's name, its family and model, and its widest vectors.

    The name alone says little: one name stands for several generations.
    """
    lines = Path("/proc/cpuinfo").read_text().partition("\n\n")[0].splitlines()
    facts = {
        key.strip(): value.strip() for key, _, value in (line.partition(":") for line in lines)
    }
    if "model name" not in facts:
        return platform.machine()
    flags = facts.get("flags", "").split()
    widest = next((name for name in ("avx512f", "avx2", "avx") if name in flags), "no avx")
    numbers = f"family {facts.get('cpu family')} model {facts.get('model')}"
    return f"{facts['model name']} ({numbers}, {widest})"


def processor_name(cpu: str) -> str:
    """Return a processor's name for a folder.

    >>> processor_name("AMD EPYC (family 25 model 17, avx512f)")
    'amd-epyc-family-25-model-17-avx512f'
    """
    return re.sub(r"[^a-z0-9]+", "-", cpu.lower()).strip("-")


def version_of(package: str) -> str | None:
    """Return the version of an installed package."""
    try:
        return version(package)
    except PackageNotFoundError:
        return None
