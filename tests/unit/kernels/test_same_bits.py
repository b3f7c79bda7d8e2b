"""A replay on another processor makes the same bits: two processes, of which one has less of it."""

import importlib
import json
import os
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest

ROOT = Path(__file__).parents[3]
OURS = ("exp2", "sigmoid", "log", "log1p", "learners")


def numpy_features() -> str:
    """The processor's features that numpy has code of its own for, and finds here."""
    core = importlib.import_module(f"{np.__name__}._core._multiarray_umath")
    return " ".join(name for name in core.__cpu_dispatch__ if core.__cpu_features__.get(name))


def bits(**settings: str) -> dict[str, str]:
    environment = {**os.environ, "PYTHONPATH": str(ROOT), **settings}
    run = subprocess.run(
        [sys.executable, "-W", "error::ImportWarning", "-m", "tests.bits"],
        cwd=ROOT, env=environment, capture_output=True, text=True, check=False,
    )  # fmt: skip
    assert run.returncode == 0, run.stderr
    found: dict[str, str] = json.loads(run.stdout)
    return found


LESS_OF_THE_PROCESSOR = {
    "GLIBC_TUNABLES": "glibc.cpu.hwcaps=-FMA,-AVX2,-FMA4,-AVX512F",
    "NPY_DISABLE_CPU_FEATURES": numpy_features(),
}


def test_without_fma_and_avx_the_bits_are_the_same() -> None:
    here, there = bits(), bits(**LESS_OF_THE_PROCESSOR)
    assert {name: here[name] for name in OURS} == {name: there[name] for name in OURS}
    if " fma " in Path("/proc/cpuinfo").read_text("ascii"):
        assert here["library"] != there["library"], "the setting takes nothing from the C library"
        assert here["numpy"] != there["numpy"], "the setting takes nothing from numpy"


@pytest.mark.long
@pytest.mark.timeout(600)
@pytest.mark.parametrize("name", ["x86-64", "haswell"])
def test_compiled_for_another_processor_the_bits_are_the_same(name: str, tmp_path: Path) -> None:
    there = bits(
        NUMBA_CPU_NAME=name, NUMBA_CPU_FEATURES="", NUMBA_CACHE_DIR=str(tmp_path),
        **LESS_OF_THE_PROCESSOR,
    )  # fmt: skip
    here = bits()
    assert {name: here[name] for name in OURS} == {name: there[name] for name in OURS}
