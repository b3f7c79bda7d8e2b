"""Streaming online learning where every model version is one atomic commit.

The names below are the public surface; each is described where it is defined. They are loaded on
first use: compiled kernels take a second to import, and a command that lists versions needs none.
"""

from importlib import import_module
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    __version__: str

    from strandline.errors import StrandlineError as StrandlineError
    from strandline.reading.model import Model as Model
    from strandline.reading.model import Predictions as Predictions
    from strandline.reading.model import open_model as open_model
    from strandline.reading.reader import Reader as Reader
    from strandline.spec import Spec as Spec
    from strandline.store import Store as Store
    from strandline.store import create_store as create_store
    from strandline.store import open_store as open_store
    from strandline.transactions.local import learn as learn
    from strandline.transactions.transaction import Stream as Stream
    from strandline.transactions.transaction import Transaction as Transaction
    from strandline.transactions.transaction import open_stream as open_stream

_HOMES = {
    "Model": "reading.model",
    "Predictions": "reading.model",
    "Reader": "reading.reader",
    "Spec": "spec",
    "Store": "store",
    "StrandlineError": "errors",
    "Stream": "transactions.transaction",
    "Transaction": "transactions.transaction",
    "create_store": "store",
    "learn": "transactions.local",
    "open_model": "reading.model",
    "open_store": "store",
    "open_stream": "transactions.transaction",
}

__all__ = [*_HOMES]  # noqa: PLE0604  the table is the list


def __getattr__(name: str) -> Any:
    if name == "__version__":  # asking for it takes longer than importing this
        return import_module("importlib.metadata").version("strandline")
    if name not in _HOMES:
        raise AttributeError(f"module 'strandline' has no attribute {name!r}")
    return getattr(import_module(f"strandline.{_HOMES[name]}"), name)


def __dir__() -> list[str]:
    return sorted([*__all__, "__version__"])
