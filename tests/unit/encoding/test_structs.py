"""The first decode of a type, in several threads at once."""

import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[3]

# A process of its own for each: only its first decode counts, and the failure is a crash.
RACE = """
import json, sys, threading
from pathlib import Path
from strandline.manifest import parse_manifest
from strandline.spec import Spec
from strandline.store.segment import Segment, segment_parts
from tests.streams import CLICKS

texts = [
    text
    for text in Path("tests/golden/line.jsonl").read_bytes().splitlines()
    if json.loads(text)["kind"] == "train"
]
packed = memoryview(b"".join(segment_parts(0, 2, lambda version: texts[0])))
sys.setswitchinterval(1e-6)
barrier = threading.Barrier(4)

def race():
    barrier.wait()
    DECODE

threads = [threading.Thread(target=race) for _ in range(4)]
for thread in threads:
    thread.start()
for thread in threads:
    thread.join()
"""


@pytest.mark.parametrize(
    "decode",
    [
        "parse_manifest(texts[0])",
        "Spec.parse(CLICKS)",
        "Segment(packed, 0, 2, 'packed')",
    ],
)
def test_threads_may_decode_a_type_for_the_first_time_at_once(decode: str) -> None:
    program = RACE.replace("DECODE", decode)
    for _ in range(3):
        ended = subprocess.run(
            [sys.executable, "-c", program], cwd=ROOT, capture_output=True, text=True, check=False
        )
        assert ended.returncode == 0, (ended.returncode, ended.stderr)
