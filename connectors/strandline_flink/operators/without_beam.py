"""PyFlink's functions without Beam, which only Python in processes beside the JVM needs."""

import sys
from importlib import import_module


def import_functions() -> None:
    """Import `pyflink.fn_execution` as if there were no Beam.

    It imports all of Beam, and pandas and pyarrow with it, a second of processor time, to ask
    whether Beam is compiled. An absent one is a no, which decides how process mode codes elements:
    a process of that mode must not call this. Imports of Beam that come later find it.
    """
    if "apache_beam" in sys.modules:
        return
    sys.modules["apache_beam"] = None  # type: ignore[assignment]  # its import fails
    try:
        import_module("pyflink.fn_execution")
    finally:
        del sys.modules["apache_beam"]
