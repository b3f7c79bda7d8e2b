"""A failure inside Flink: it restores its checkpoint, and the run goes on by itself."""

from pathlib import Path

import pytest

from strandline_flink.dev.broker import Broker
from tests.integration.harness import Run, check_exact, ends, produce, restored_opens
from tests.streams import clicks

pytestmark = pytest.mark.timeout(300)


def test_store_that_cannot_be_written_for_a_while(broker: Broker, tmp_path: Path) -> None:
    broker.create_topic("no-folder", 2)
    produce(broker, "no-folder", clicks(2000))
    with Run(broker.bootstrap, "no-folder", tmp_path, "--parallelism=2") as run:
        run.wait_for_events(ends(broker, "no-folder"))
        deltas, away = Path(run.store_url, "deltas"), Path(run.store_url, "deltas.away")
        deltas.rename(away)
        deltas.write_text("in the way")
        produce(broker, "no-folder", clicks(2000, seed=1))
        run.wait_until("the restore", lambda: restored_opens(run.store) > 0)
        deltas.unlink()
        away.rename(deltas)
        produce(broker, "no-folder", clicks(2000, seed=2))
        run.wait_for_events(ends(broker, "no-folder"))
        summary = run.stop()
    assert summary["events"] == 6000
    check_exact(broker, "no-folder", run.store_url)
