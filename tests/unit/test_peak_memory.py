import subprocess
import sys
import threading

import psutil

from tests.peak_memory import PeakMemory, tree_rss_bytes

MIB = 1 << 20
HOLD = "held = bytearray(b'x') * (200 << 20); print('held', flush=True); input()"


def test_the_highest_sample_counts() -> None:
    samples, later = iter([3, 9, 4]), threading.Event()

    def measure() -> int:
        if (sample := next(samples, 0)) == 0:
            later.set()
        return sample

    memory = PeakMemory(measure, interval_s=0.001)
    memory.start()
    later.wait()
    memory.stop()
    assert memory.peak_bytes == 9


def test_memory_of_a_child_counts_also_when_it_has_a_session_of_its_own() -> None:
    this = psutil.Process()
    before = tree_rss_bytes(this)
    with subprocess.Popen(
        [sys.executable, "-c", HOLD],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        start_new_session=True,
    ) as child:
        assert child.stdout is not None
        assert child.stdout.readline() == b"held\n"
        assert tree_rss_bytes(this) - before > 190 * MIB
        child.kill()


def test_an_orphan_still_counts() -> None:
    this = psutil.Process()
    before = {process.pid for process in this.children(recursive=True)}
    spawn = (
        "import subprocess; quiet = subprocess.DEVNULL;"
        "print(subprocess.Popen(['sleep', '30'], stdout=quiet, stderr=quiet).pid)"
    )
    listed = subprocess.run([sys.executable, "-c", spawn], capture_output=True, check=True)
    orphan = int(listed.stdout)
    try:
        assert orphan in {process.pid for process in this.children(recursive=True)} - before
    finally:
        psutil.Process(orphan).kill()
