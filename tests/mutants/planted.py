"""Bugs to plant in the protocol: a piece of the code, what takes its place, the tests that notice.

Each is one that a change could well make: a check that is gone, an order that is turned round, a
step of durability that is skipped.
"""

from typing import Final

from tests.mutants.commit_bugs import COMMIT_BUGS
from tests.mutants.learning_bugs import LEARNING_BUGS
from tests.mutants.mutant import Mutant
from tests.mutants.store_bugs import STORE_BUGS

MUTANTS: Final[tuple[Mutant, ...]] = (*COMMIT_BUGS, *STORE_BUGS, *LEARNING_BUGS)
