"""The bracket scan against a walk byte by byte, and its time on hostile bytes."""

import time

from hypothesis import given
from hypothesis import strategies as st

from strandline.features.plain_scan import nesting
from tests.oracles.features import depth

brackets = st.text(alphabet='[]{}"\\ a\n', max_size=40).map(str.encode)


@given(brackets | st.binary())
def test_nesting_is_what_a_walk_finds(record: bytes) -> None:
    assert nesting(record) == depth(record)


def test_hostile_megabytes_take_time_in_proportion_to_their_size() -> None:
    for part in (b"[]", b'"', b'"\\', b"\\", b'["\\"', b'"\\"['):
        record = part * (4_000_000 // len(part))
        started = time.process_time()
        nesting(record)
        assert time.process_time() - started < 5
