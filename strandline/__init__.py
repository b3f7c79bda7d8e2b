"""Streaming online learning where every model version is one atomic commit.

The names below are the public surface; each is described where it is defined. They are loaded on
first use: compiled kernels take a second to import, and a command that lists versions needs none.
"""

from importlib import import_module
from importlib.metadata import version
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from strandline.errors import StrandlineError as StrandlineError
    from strandline.local import learn as learn
    from strandline.model import Model as Model
    from strandline.model import Predictions as Predictions
    from strandline.model import open_model as open_model
    from strandline.reader import Reader as Reader
    from strandline.spec import Spec as Spec
    from strandline.store import Store as Store
    from strandline.store import create_store as create_store
    from strandline.store import open_store as open_store
    from strandline.transaction import Stream as Stream
    from strandline.transaction import Transaction as Transaction
    from strandline.transaction import open_stream as open_stream

_HOMES = {
    "Model": "model",
    "Predictions": "model",
    "Reader": "reader",
    "Spec": "spec",
    "Store": "store",
    "StrandlineError": "errors",
    "Stream": "transaction",
    "Transaction": "transaction",
    "create_store": "store",
    "learn": "local",
    "open_model": "model",
    "open_store": "store",
    "open_stream": "transaction",
}

__all__ = [*_HOMES]  # noqa: PLE0604  the table is the list
__version__ = version("strandline")


def __getattr__(name: str) -> Any:
    if name not in _HOMES:
        raise AttributeError(f"module 'strandline' has no attribute {name!r}")
    return getattr(import_module(f"strandline.{_HOMES[name]}"), name)


def __dir__() -> list[str]:
    return sorted([*__all__, "__version__"])
