"""Submissions: each start or restore of a job has one, and says since which version it may exist.

::

    version, 9 hex digits · check, 7 · random, 16

An open of the submission is newer than that version, so whoever looks for it need not look further
back. Other ids of 32 hexadecimal digits say nothing: the check tells them from these.
"""

import secrets
from typing import Final

from strandline.encoding.canonical import sha256_hex

_VERSION_DIGITS: Final = 9
_CHECK_DIGITS: Final = 7
_RANDOM_BYTES: Final = 8


def new_submission(head: int) -> str:
    """Return a new submission, made while `head` is the store's newest version.

    Examples
    --------
    >>> made_since(new_submission(1_234_567))
    1234567
    """
    since, random = f"{head:0{_VERSION_DIGITS}x}", secrets.token_hex(_RANDOM_BYTES)
    return since + _check(since, random) + random


def made_since(submission: str) -> int | None:
    """Return the version that was head when the submission was made, None if it does not say.

    Examples
    --------
    >>> made_since("a" * 32)
    """
    since, rest = submission[:_VERSION_DIGITS], submission[_VERSION_DIGITS:]
    check, random = rest[:_CHECK_DIGITS], rest[_CHECK_DIGITS:]
    return int(since, 16) if check == _check(since, random) else None


def _check(since: str, random: str) -> str:
    return sha256_hex(f"{since}{random}".encode())[:_CHECK_DIGITS]
