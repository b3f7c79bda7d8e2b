"""What an option or an argument that names a store means: its URL."""

import os
import re
from typing import Final

from strandline.errors import StoreUnavailable, WrongUsage

MEMORY_URL: Final = "memory:"

_SCHEME: Final = re.compile(r"[A-Za-z][A-Za-z0-9+.-]+:")


def store_url(named: str | os.PathLike[str]) -> str:
    """Return the URL that every process opens the same store by: an absolute path, or `memory:`.

    Raises
    ------
    WrongUsage
        If it is no text.
    StoreUnavailable
        If it names no folder: it is empty, has another scheme, or `~` without a home folder.
    """
    text: object = os.fspath(named) if isinstance(named, os.PathLike) else named
    if not isinstance(text, str):
        raise WrongUsage(
            f"store: got {type(text).__name__}; expected the path of a folder, as str or"
            f" os.PathLike, or {MEMORY_URL!r}"
        )
    if text == MEMORY_URL:
        return MEMORY_URL
    if not text or "\0" in text or _SCHEME.match(text):
        raise StoreUnavailable(
            f"{text!r:.200} is no store's URL; expected the path of a folder, or {MEMORY_URL!r}"
        )
    path = os.path.expanduser(text)
    if path == text and text.startswith("~"):
        raise StoreUnavailable(
            f"{text!r:.200} begins with ~, and no home folder is known for it; name the folder by"
            f" its whole path, or by ./{text[:200]} if that is its name"
        )
    return os.path.abspath(path)
