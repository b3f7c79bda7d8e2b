"""Checkpoints that reach one shard's merger and not the other's, in a cluster of two machines."""

from collections.abc import Iterator
from pathlib import Path

import pytest

from strandline.manifest import TrainBody
from strandline.store import Store
from strandline.store.chain import log
from strandline_flink.dev.broker import Broker
from tests.integration.harness import restored_opens
from tests.integration.live import live_run
from tests.integration.machines import Machines, two_machines

pytestmark = [pytest.mark.long, pytest.mark.timeout(600)]


@pytest.fixture
def machines(tmp_path: Path) -> Iterator[Machines]:
    with two_machines(tmp_path / "flink") as running:
        yield running


def cut_apart(store: Store) -> bool:
    """Whether the mergers of a version cut its deltas at different places."""
    for manifest in log(store):
        if isinstance(manifest.body, TrainBody):
            cuts: dict[int, list[dict[str, int]]] = {}
            for file in manifest.body.files:
                cuts.setdefault(file.shard, []).append(file.seqs)
            if len(cuts) == 2 and cuts[0] != cuts[1]:
                return True
    return False


def test_aborted_checkpoint_was_cut_by_one_shard_only(
    broker: Broker, machines: Machines, tmp_path: Path
) -> None:
    """The other merger hears of the abort before the barrier; the next checkpoint has both."""
    with live_run(broker, "cut-apart", tmp_path, *machines.options) as run:
        with machines.apart(run):
            machines.abort_checkpoint()
        run.wait_for_more(1)
        assert cut_apart(run.store)
        assert restored_opens(run.store) == 0


@pytest.mark.parametrize("victim", ["prepared", "other"])
def test_taskmanager_is_killed_when_one_shard_is_prepared_and_the_other_is_not(
    broker: Broker, machines: Machines, tmp_path: Path, victim: str
) -> None:
    """The prepared part belongs to a checkpoint that never completes: its events come again."""
    with live_run(broker, f"killed-{victim}", tmp_path, *machines.options) as run:
        killed = (machines.near() if victim == "prepared" else machines.far()).taskmanager
        before = restored_opens(run.store)
        with machines.apart(run):
            killed.kill()
            killed.wait()
        machines.cluster.taskmanagers.remove(killed)
        machines.cluster.start_taskmanager()
        run.wait_until("the restore", lambda: restored_opens(run.store) > before)
