"""What a planted bug is."""

from typing import NamedTuple


class Mutant(NamedTuple):
    """A bug.

    Attributes
    ----------
    bug
        What is wrong with it, in one sentence; names the mutant.
    file
        Where it is planted.
    code, instead
        The piece of the file, which occurs once, and what takes its place.
    tests
        Node ids, without parameters, of tests each of which fails with it.
    """

    bug: str
    file: str
    code: str
    instead: str
    tests: tuple[str, ...]
