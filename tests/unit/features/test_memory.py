"""The kernel stays within its memory and its time, however the records are made."""

import random
import subprocess
import sys
from itertools import count, islice
from pathlib import Path
from time import thread_time

import numpy as np
from xxhash import xxh64_intdigest

from strandline.features import Decoder
from strandline.features.layout import STEP_SLOTS
from strandline.spec import Spec

ROOT = Path(__file__).parents[3]
SPEC = Spec.parse("""
name = "memory"
label.path = "y"
features.a.kind = "category"
learners.seen = { type = "counts", feature = "a" }
limits = { entries = 65536, event_bytes = 1048576 }
""")


def test_nothing_beyond_a_buffer_is_touched() -> None:
    done = subprocess.run(
        [sys.executable, "-X", "faulthandler", "-m", "tests.fenced_decoding", "20260", "300"],
        capture_output=True, text=True, check=False, timeout=120, cwd=ROOT,
    )  # fmt: skip
    assert done.returncode == 0, done.stderr
    assert int(done.stdout) > 2_000


def test_an_event_of_many_entries_asks_no_memory_for_the_events_after_it() -> None:
    decoder = Decoder(SPEC)
    decoder.decode([b'{"y":1,"a":[' + b",".join([b"1"] * 65_536) + b"]}"])
    batch, _ = decoder.decode([b'{"y":1,"a":1}'] * 2_000)
    assert batch.entries == 4_000
    whole = batch.keys.base
    assert isinstance(whole, np.ndarray)
    assert whole.nbytes < 64 << 20


def seconds(members: list[bytes]) -> float:
    """The shortest of some times to decode events of these members, never twice in one order."""
    decoder, dice, times_s = Decoder(SPEC), random.Random(7), []
    for _ in range(5):
        events = [b'{"y":1' + b"".join(dice.sample(members, len(members))) + b"}" for _ in "123456"]
        begin = thread_time()
        assert decoder.decode_counted(events)[2] == 0, "the kernel reads them"
        times_s.append(thread_time() - begin)
    return min(times_s)


def test_keys_made_to_collide_cost_hardly_more_than_others() -> None:
    keys = (f',"{number:x}":'.encode() for number in count())
    ordinary = [key + b"1" for key in islice(keys, 1_000)]
    colliding = (key + b"1" for key in keys if xxh64_intdigest(key, 0) % STEP_SLOTS < 8)
    assert seconds(list(islice(colliding, 1_000))) < 8 * seconds(ordinary)
