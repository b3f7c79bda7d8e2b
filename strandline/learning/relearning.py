"""Which events of an epoch cannot be learned: found by halves, in a bounded number of tries."""

from collections.abc import Callable, Sequence
from typing import Final

from strandline.learning.attempt import positions
from strandline.learning.epoch import Part

TRIES_MAX: Final = 2000
"""After so many tries no piece is halved any more: one that cannot be learned goes as a whole."""

Position = tuple[int, int]


def find_unlearnable(
    batches: Sequence[Sequence[Part]], learn: Callable[[Sequence[Part]], str | None]
) -> dict[Position, str]:
    """Return the events that cannot be learned after those before them, each with the reason.

    What is returned depends on the events and on `learn` only, not on how blocks were cut.

    Parameters
    ----------
    batches
        The epoch's events in order.
    learn
        Learns events on top of all that it could learn before, and returns None; or leaves
        everything as it was and returns why it cannot.

    Examples
    --------
    >>> import numpy as np
    >>> from strandline.events.records import Records
    >>> part = Part(7, np.arange(100, 105), Records.of([b"1", b"2", b"x", b"4", b"y"]))
    >>> def learn(parts):
    ...     letters = [each for part in parts for each in part.records if each.isalpha()]
    ...     return "not a digit" if letters else None
    >>> find_unlearnable([[part]], learn)
    {(7, 102): 'not a digit', (7, 104): 'not a digit'}
    """
    found: dict[Position, str] = {}
    waiting = [list(batch) for batch in reversed(batches)]
    tries = 0
    while waiting:
        piece = waiting.pop()
        tries += 1
        fault = learn(piece)
        if fault is None:
            continue
        events = sum(len(part.records) for part in piece)
        if events > 1 and tries < TRIES_MAX:
            waiting += [half for half in _halves(piece, events // 2)[::-1] if half]
        else:
            each = fault if events == 1 else f"{fault} (one of {events} events learned together)"
            found |= dict.fromkeys(positions(piece), each)
    return found


def _halves(piece: Sequence[Part], count: int) -> tuple[list[Part], list[Part]]:
    """Return the first `count` events, and the others."""
    first: list[Part] = []
    rest: list[Part] = []
    for part in piece:
        taken = min(count, len(part.records))
        count -= taken
        if taken:
            first.append(part.sliced(0, taken))
        if taken < len(part.records):
            rest.append(part.sliced(taken, len(part.records)))
    return first, rest
