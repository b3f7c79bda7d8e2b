"""The list of planted bugs: each has its place in the code, and names tests that exist."""

import re
from pathlib import Path

import pytest

from tests.mutants.__main__ import planted
from tests.mutants.mutant import Mutant
from tests.mutants.planted import MUTANTS

ROOT = Path(__file__).parents[2]


def test_every_bug_has_a_name_of_its_own() -> None:
    assert len({mutant.bug for mutant in MUTANTS}) == len(MUTANTS) >= 25


@pytest.mark.parametrize("mutant", MUTANTS, ids=lambda mutant: mutant.bug)
def test_a_bug_can_be_planted_and_its_tests_exist(mutant: Mutant) -> None:
    bad = planted((ROOT / mutant.file).read_text("utf-8"), mutant)
    compile(bad, mutant.file, "exec")
    assert mutant.tests
    for test in mutant.tests:
        file, _, name = test.partition("::")
        text = (ROOT / file).read_text("utf-8")
        assert re.search(rf"^def {re.escape(name)}\(", text, re.MULTILINE), test
