"""What the benches count of a contender's processes."""

import sys
from typing import Final

import pytest

from bench.contender import run_to_end

CPU_S: Final = 0.3
BUSY: Final = f"import time\nwhile time.process_time() < {CPU_S}: pass"


def python(program: str) -> list[str]:
    return [sys.executable, "-I", "-S", "-c", program]


def test_the_time_of_a_process_counts_whose_parent_ended_before_it() -> None:
    leave = f"import subprocess\nsubprocess.Popen({python(BUSY)})\nprint('left')"
    done = run_to_end("a contender", python(leave))
    assert done.stdout == "left\n"
    assert done.cpu_s >= CPU_S


def test_a_contender_that_fails_says_why() -> None:
    with pytest.raises(RuntimeError, match=r"vw ended with 3:\nno such file"):
        run_to_end("vw", python("import sys\nprint('no such file', file=sys.stderr)\nsys.exit(3)"))
