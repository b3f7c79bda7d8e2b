"""A model that does not fit in memory is refused before anything of it is opened."""

import pytest

from strandline.errors import EnvironmentUnfit, WrongUsage
from strandline.learners.loading import make_learners, schemas_of
from strandline.reading.model import open_model
from strandline.spec import Spec
from strandline.store import create_store
from strandline.tables.memory import LIMIT, check_memory, dense_bytes, memory_limit_bytes
from strandline.tables.table import TableSchema
from strandline.upkeep.fsck import check_store

SPEC = """
name = "large"
label.path = "y"
features.a.kind = "category"
learners.ctr = { type = "ftrl", bits = 16 }
learners.seen = { type = "counts", feature = "a" }
"""
FTRL_BYTES = 2**16 * 2 * 4


def schemas() -> list[TableSchema]:
    return [*schemas_of(make_learners(Spec.parse(SPEC))).values()]


def test_tables_of_a_fixed_size_are_summed_and_sparse_ones_are_not() -> None:
    assert dense_bytes(schemas()) == FTRL_BYTES


@pytest.mark.parametrize(
    ("told", "limit_bytes"),
    [("48GB", 48 * 10**9), ("1.5 MB", 1_500_000), ("200 b", 200), ("none", None), ("NONE ", None)],
)
def test_the_limit_is_what_the_user_says(
    told: str, limit_bytes: int | None, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv(LIMIT, told)
    assert memory_limit_bytes() == limit_bytes


@pytest.mark.parametrize("told", ["lots", "-1GB", "8", "8GiB", "1e9B"])
def test_a_limit_that_is_no_size_is_refused(told: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv(LIMIT, told)
    with pytest.raises(WrongUsage, match=f"{LIMIT} is .{told}., expected a size such as 48GB"):
        memory_limit_bytes()


def test_without_a_word_the_limit_is_the_machines(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv(LIMIT, raising=False)
    limit_bytes = memory_limit_bytes()
    assert limit_bytes is not None
    assert 10**8 < limit_bytes < 10**15


def test_tables_above_the_limit_are_refused_with_the_largest_named(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setenv(LIMIT, f"{FTRL_BYTES - 1}B")
    with pytest.raises(EnvironmentUnfit, match=r"ctr\.zn with 65,536 rows\. Lower `bits`"):
        check_memory(schemas())
    check_memory(schemas(), shards=2)
    monkeypatch.setenv(LIMIT, f"{FTRL_BYTES}B")
    check_memory(schemas())


def test_a_store_whose_tables_do_not_fit_is_not_opened(monkeypatch: pytest.MonkeyPatch) -> None:
    store = create_store("memory:", Spec.parse(SPEC))
    monkeypatch.setenv(LIMIT, "400kB")
    for use in (open_model, check_store):
        with pytest.raises(EnvironmentUnfit, match="expected at most"):
            use(store)
    monkeypatch.setenv(LIMIT, "none")
    assert open_model(store).version == 0
