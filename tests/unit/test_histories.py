"""Histories of a whole job that no single part owns, one step at a time."""

import pytest

from strandline.errors import Superseded
from strandline.reading.model import open_model
from strandline.store import create_store, read_manifest, verify_chain
from tests.integration.harness import items_of
from tests.jobs import Job
from tests.streams import clicks, clicks_spec

SPEC = clicks_spec(bits=10)


def test_a_new_partition_whose_commit_never_happened_is_read_again_from_its_first_event() -> None:
    """Its checkpoint completed; the job that starts from head knows nothing of that."""
    store = create_store("memory:", SPEC)
    old, known, new = clicks(30, 1), clicks(20, 2), clicks(40, 3)
    job = Job(store)
    job.epoch({0: old})
    job.commit()
    job.epoch({0: known, 7: new})
    heir = Job(store, run=2, positions={"0": 0, "7": 0})
    assert heir.entry.positions == {"0": 30, "7": 0}
    with pytest.raises(Superseded):
        job.commit()
    heir.epoch({0: known, 7: new})
    heir.commit()
    assert read_manifest(store, store.head()).streams["events"].positions == {"0": 50, "7": 40}
    expected, _ = items_of([*old, *known, *new])
    model = open_model(store)
    assert {item: model.count(item) for item in expected} == expected
    assert verify_chain(store, files=True) == store.head()
