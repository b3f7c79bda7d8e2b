"""How kernels are compiled, and where their machine code is kept.

A kernel's code is kept in the first of these folders that can be written, and looked for in all:
NUMBA_CACHE_DIR, if it is set; `__pycache__` beside the kernel's source; the user's cache folder; a
private folder among the temporary files. Where none can be written it is kept in memory. It is
code for one kind of processor, and of one state of the sources of its room and of this one.
"""

import hashlib
import logging
import os
import stat
import tempfile
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from functools import cache
from pathlib import Path
from typing import Any

from numba import njit, typeof
from numba.core.caching import CompileResultCacheImpl, FunctionCache, _Cache, _CacheLocator

_log = logging.getLogger(__name__)


def kernel(function: Callable[..., Any]) -> Any:
    """Compile a function on its first call, without the interpreter's lock, and keep its code.

    Strict maths: the same arguments make the same bits. Dividing by zero is not checked.
    """
    dispatcher = njit(nogil=True, error_model="numpy")(function)
    dispatcher._cache = KernelCache(function)
    return dispatcher


class _NotKept(Exception):
    """A kernel's code is in no folder."""


class KernelCache(_Cache):
    """A kernel's machine code in the folders that there are."""

    compiled = 0
    """How many kernels this process has compiled."""

    only_kept = threading.local()
    """Whether, in this thread, a kernel whose code is not kept raises `_NotKept`."""

    def __init__(self, function: Callable[..., Any]) -> None:
        self._function = function

    @property
    def cache_path(self) -> str:
        return str(next(self._folders(), ""))

    def load_overload(self, sig: Any, target_context: Any) -> Any:
        for folder in self._folders():
            try:
                found = _FolderCache(self._function, folder).load_overload(sig, target_context)
            except OSError:  # not ours to read
                continue
            except Exception as error:  # noqa: BLE001  whatever damaged code raises
                _log.warning("compiled code in %s is damaged and made anew: %r", folder, error)
                continue
            if found is not None:
                return found
        if getattr(self.only_kept, "now", False):
            raise _NotKept
        return None

    def save_overload(self, sig: Any, data: Any) -> None:
        KernelCache.compiled += 1
        tried = []
        for folder in self._folders():
            try:
                _FolderCache(self._function, folder).save_overload(sig, data)
            except OSError as error:
                tried.append(f"{folder} ({error.strerror})")
                continue
            _tell_place(folder)
            return
        _warn_once(
            f"in memory alone, each start compiles anew: nothing to write in ({', '.join(tried)})"
        )

    def enable(self) -> None:
        """It is always."""

    def disable(self) -> None:
        """It never is."""

    def flush(self) -> None:
        """Code is replaced when it no longer fits."""

    def _folders(self) -> Iterator[Path]:
        source = Path(self._function.__code__.co_filename)
        below = _CacheLocator.get_suitable_cache_subpath(str(source))
        if named := os.environ.get("NUMBA_CACHE_DIR"):
            yield Path(named) / below
        yield source.parent / "__pycache__"
        for folder in (_user_folder(), _temporary_folder()):
            if folder is not None:
                yield folder / "kernels" / below


def is_at_hand(compiled: Any, *arguments: Any) -> bool:
    """Load the kernel's code for such arguments if it is kept; whether it was. Compiles nothing."""
    KernelCache.only_kept.now = True
    try:
        compiled.compile(tuple(map(typeof, arguments)))
    except _NotKept:
        return False
    finally:
        KernelCache.only_kept.now = False
    return True


@contextmanager
def compiling(what: str) -> Iterator[None]:
    """Log, once it is done, that kernels were compiled, if any were."""
    before, begun_s = KernelCache.compiled, time.monotonic()
    yield
    count = KernelCache.compiled - before
    if count:
        _log.info(
            "compiled %d kernels for %s in %.1f s; `strandline warm` does it ahead",
            count,
            what,
            time.monotonic() - begun_s,
        )


class _FolderCache(FunctionCache):
    """numba's cache in one folder."""

    def __init__(self, function: Callable[..., Any], folder: Path) -> None:
        self._impl_class = type(
            "_Impl", (CompileResultCacheImpl,), {"_locator_classes": [_Folder(folder)]}
        )
        super().__init__(function)


class _Folder:
    """Stands where numba expects the class of a locator."""

    def __init__(self, folder: Path) -> None:
        self._folder = folder

    def from_function(self, function: Callable[..., Any], source: str) -> "_Locator":
        return _Locator(self._folder, Path(source), function.__code__.co_firstlineno)


class _Locator(_CacheLocator):
    def __init__(self, folder: Path, source: Path, line: int) -> None:
        self._folder, self._source, self._line = folder, source, line
        self._py_file = str(source)  # numba names it in warnings

    def get_cache_path(self) -> str:
        return str(self._folder)

    def get_source_stamp(self) -> str:
        return _stamp(self._source.parent)

    def get_disambiguator(self) -> str:
        return str(self._line)


@cache
def _stamp(room: Path) -> str:
    """Return what changes with a source of the room, of this one or of the ground below the rooms.

    By itself numba looks at the one file that a kernel is defined in, and would go on with old
    code after a change in another whose functions are compiled into it.
    """
    here = Path(__file__).parent
    folders = (room, here, here.parent)
    digest = hashlib.sha256()
    for source in sorted({file for folder in folders for file in folder.glob("*.py")}):
        digest.update(source.read_bytes())
    return digest.hexdigest()


@cache
def _user_folder() -> Path | None:
    """Return STRANDLINE_CACHE, XDG_CACHE_HOME/strandline or ~/.cache/strandline.

    None where others than this user and the system's own could put code there.
    """
    if named := os.environ.get("STRANDLINE_CACHE"):
        folder = Path(named)
    elif named := os.environ.get("XDG_CACHE_HOME"):
        folder = Path(named) / "strandline"
    else:
        try:
            folder = Path.home() / ".cache" / "strandline"
        except RuntimeError:  # no HOME, and a user without a name
            return None
    if not folder.is_absolute():
        return None
    try:
        folder.mkdir(mode=0o700, parents=True, exist_ok=True)
        found = folder.stat()
    except OSError:
        return None
    is_safe = found.st_uid in {0, os.geteuid()} and not found.st_mode & 0o022
    return folder if is_safe else None


@cache
def _temporary_folder() -> Path | None:
    """Return this user's folder among the temporary files, None if it may be another's.

    Its name can be guessed: whoever makes it first keeps us out of it, and gets nothing else.
    """
    try:
        parent = Path(tempfile.gettempdir())
        folder = parent / f"strandline-{os.geteuid()}"
        folder.mkdir(mode=0o700, exist_ok=True)
        found, around = folder.lstat(), parent.stat()
    except OSError:
        return None
    is_ours = stat.S_ISDIR(found.st_mode) and found.st_uid == os.geteuid()
    is_kept = around.st_mode & stat.S_ISVTX or not around.st_mode & 0o022
    return folder if is_ours and is_kept and not found.st_mode & 0o077 else None


def _tell_place(folder: Path) -> None:
    temporary = _temporary_folder()
    if temporary is not None and folder.is_relative_to(temporary):
        _warn_once(f"kept in {temporary}, among temporary files")


_warned: list[str] = []  # where code is kept, once that was said


def _warn_once(where: str) -> None:
    if _warned:
        return
    _warned.append(where)
    _log.warning(
        "compiled code is %s; run `strandline warm` as the owner of the installation, or set"
        " NUMBA_CACHE_DIR to a folder that can be written and is yours alone",
        where,
    )
