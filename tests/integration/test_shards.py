"""Any number of workers and shards, in a real Flink: exact counts, and what one pass learns."""

from pathlib import Path

import pytest

from strandline.cli.figures import log_loss
from strandline.manifest import TrainBody
from strandline.spec import Spec
from strandline.store.chain import log
from strandline_flink.dev.broker import Broker
from tests.integration.harness import Run, check_exact, ends, produce, restored_opens
from tests.oracles import sequential
from tests.streams import CLICKS, clicks

pytestmark = pytest.mark.timeout(300)

PARTITIONS, ROUNDS, EVENTS = 4, 12, 12_000
EVENTS_PER_ROUND = EVENTS // ROUNDS
# Relative to one pass over all events, by workers.
LOG_LOSS = {1: 0.01, 2: 0.03, 4: 0.03}
SHORT = ((1, 2), (4, 3))
GRID = [(w, s) for w in (1, 2, 4) for s in (1, 2, 3) if (w, s) not in SHORT]


@pytest.fixture(scope="module")
def one_pass() -> float:
    """Log-loss of one sequential pass."""
    return sequential.run(Spec.parse(CLICKS), clicks(EVENTS)).log_loss("ctr")


@pytest.mark.parametrize(
    ("workers", "shards", "mode"),
    [
        *((*each, "thread") for each in SHORT),
        *(pytest.param(*each, "thread", marks=pytest.mark.rare) for each in GRID),
        pytest.param(2, 2, "process", marks=pytest.mark.rare),
    ],
)
def test_any_number_of_workers_and_shards_learns_what_one_pass_learns(
    broker: Broker, tmp_path: Path, one_pass: float, *, workers: int, shards: int, mode: str
) -> None:
    topic = f"grid-{tmp_path.name}"
    broker.create_topic(topic, PARTITIONS)
    events = clicks(EVENTS)
    options = (f"--parallelism={workers}", f"--shards={shards}", f"--mode={mode}")
    with Run(broker.bootstrap, topic, tmp_path, *options) as run:
        for begin in range(0, EVENTS, EVENTS_PER_ROUND):  # so epochs do not depend on the speed
            produce(broker, topic, events[begin : begin + EVENTS_PER_ROUND], PARTITIONS)
            run.wait_for_events(ends(broker, topic))
        run.stop()
    served = log_loss(check_exact(broker, topic, run.store_url).prequential["ctr"])
    assert served is not None
    assert abs(served / one_pass - 1) <= LOG_LOSS[workers], served
    bodies = [manifest.body for manifest in log(run.store)]
    files = [file for body in bodies if isinstance(body, TrainBody) for file in body.files]
    assert {(file.shard, file.shards) for file in files} == {(s, shards) for s in range(shards)}


@pytest.mark.long
def test_rescales_between_starts_a_kill_and_a_failover(broker: Broker, tmp_path: Path) -> None:
    """Fewer and more of both; the seqs of workers that are no more stay in every version."""
    topic = "rescaled"
    broker.create_topic(topic, PARTITIONS)
    produce(broker, topic, clicks(1200), PARTITIONS)
    scales = [("--parallelism=2", "--shards=1"), ("--parallelism=4", "--shards=3")]
    with Run(broker.bootstrap, topic, tmp_path, *scales[0]) as run:
        run.wait_for_events(ends(broker, topic))
        produce(broker, topic, clicks(3000, seed=1), PARTITIONS)
        run.kill()
    with Run(broker.bootstrap, topic, tmp_path, *scales[1]) as run:
        run.wait_for_events(ends(broker, topic))
        deltas, away = Path(run.store_url, "deltas"), Path(run.store_url, "deltas.away")
        deltas.rename(away)
        deltas.write_text("in the way")
        produce(broker, topic, clicks(1000, seed=2), PARTITIONS)
        run.wait_until("the restore", lambda: restored_opens(run.store) > 0)
        deltas.unlink()
        away.rename(deltas)
        run.wait_for_events(ends(broker, topic))
        run.kill()
    produce(broker, topic, clicks(1000, seed=3), PARTITIONS)
    with Run(broker.bootstrap, topic, tmp_path, "--shards=2", "--bounded") as run:
        run.summary()
    check_exact(broker, topic, run.store_url)
    assert next(log(run.store)).streams["events"].seqs.keys() == {"0", "1", "2", "3"}
