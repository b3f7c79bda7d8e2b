"""Beam is not imported with PyFlink's functions: in a process of its own, for imports stay."""

import subprocess
import sys

IMPORTS = """
import sys
import strandline_flink.operators.operators
from strandline_flink.operators.without_beam import import_functions
import_functions()
assert "pyflink.fn_execution" in sys.modules
print([name for name in ("apache_beam", "pandas", "pyarrow") if name in sys.modules])
import apache_beam
import_functions()
assert sys.modules["apache_beam"] is apache_beam
"""


def test_functions_come_without_beam_which_can_be_imported_later() -> None:
    done = subprocess.run(
        [sys.executable, "-c", IMPORTS], capture_output=True, text=True, check=False
    )
    assert (done.returncode, done.stdout) == (0, "[]\n"), done.stderr
