"""A START names one version, and everybody begins there, whatever head has become meanwhile."""

from strandline.commit.opening import Opening, append_open
from strandline.events.block import Mark
from strandline.learning.merger import Merger
from strandline.learning.worker import Worker
from strandline.manifest import OpenKey, Span
from strandline.store import create_store, read_manifest, verify_chain
from strandline.transactions.transaction import open_stream
from tests.jobs import Job, block
from tests.streams import clicks, clicks_spec

SPEC = clicks_spec(bits=10)


def test_late_worker_and_merger_begin_at_the_version_that_start_names() -> None:
    """Head has moved on: by another stream, and by another submission of the same run."""
    store = create_store("memory:", SPEC)
    job = Job(store)
    job.epoch({0: clicks(200, 1)})
    job.commit()
    with open_stream(store, "other").begin() as transaction:
        transaction.learn(clicks(100, 2))
    worker, merger = Worker(store, "events", 0), Merger(store, "events")
    worker.start(job.run, job.start)
    merger.start(job.run, job.start)
    assert worker.version == job.start < store.head()
    worker.learn(block(0, 0, clicks(50, 3)))
    delta = worker.mark(Mark(None, (Span(0, 0, 50),)))
    assert (delta.seq, delta.adopted, delta.pending) == (1, job.start, ())
    assert merger._replica is not None
    assert merger._replica.version == job.start
    same = Job(create_store("memory:", SPEC)).epoch({0: clicks(50, 3)}).body
    assert delta.prequential == same.prequential, "it predicts with the parameters of START"


def test_a_failover_starts_everybody_at_the_open_of_the_restore() -> None:
    """Uncommitted epochs are read again; seqs that were given to them are given anew."""
    store = create_store("memory:", SPEC)
    job = Job(store)
    job.epoch({0: clicks(100, 1)})
    job.commit()
    job.epoch({0: clicks(30, 2)})  # its checkpoint never completes
    restored = OpenKey(restored=1, submission=job.run)
    positions = job.entry.positions
    version = append_open(
        store,
        Opening("events", run=job.run, key=restored, positions=positions, source={}, time_ms=0),
    )
    again = Worker(store, "events", 0)
    again.start(job.run, version)
    again.learn(block(0, 100, clicks(30, 2)))
    delta = again.mark(Mark(None, (Span(0, 100, 130),)))
    assert (delta.seq, delta.adopted, delta.pending) == (2, version, ())
    assert read_manifest(store, version).streams["events"].seqs == {"0": 1}
    assert verify_chain(store, files=True) == version
