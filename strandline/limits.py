"""A limit on everything that comes from outside, and how the limits relate.

Readers refuse what is larger; writers never write it.
"""

from typing import Final

MANIFEST_BYTES_MAX: Final = 16 << 20
SPEC_BYTES_MAX: Final = 1 << 20
DELTA_BYTES_MAX: Final = 4 << 30
VERSION_MAX: Final = 9_999_999_999
VERSIONS_PER_FOLDER: Final = 1_000

EVENT_BYTES_MAX: Final = 16 << 20
EVENT_DEPTH_MAX: Final = 128
EVENT_ENTRIES_MAX: Final = 65_536
RELEARN_BYTES_MAX: Final = 256 << 20
"""Of an epoch's events that a worker keeps until the mark, so that it can learn them again."""
NUMBER_MAX: Final = 1e13
"""How large a number that is learned may be: label, weight, feature value, weight times value.

A float32 that sums squares of up to NUMBER_MAX stays below float32's end: the sum stops growing
once a square is less than half of its last digit, at 2^25 squares, and 2^16 workers may add up such
sums. So learning by `ftrl` stays finite whatever the events are, as long as each is within it.
"""
REJECT_KEPT_BYTES: Final = 4096
REJECTED_SHARE_EVENTS_MIN: Final = 1000
NAME_PATTERN: Final = "^[a-z0-9][a-z0-9._-]{0,62}$"

TABLE_BITS_MAX: Final = 28
SKLEARN_BITS_MAX: Final = 22  # every mini-batch costs the whole table
LEARNERS_MAX: Final = 16
SHARDS_MAX: Final = 128
FEATURES_MAX: Final = 1024

OPENS_CONTESTED: Final = 8
OPENS_CONTESTED_WINDOW_MS: Final = 60_000

assert MANIFEST_BYTES_MAX < DELTA_BYTES_MAX
assert REJECT_KEPT_BYTES < EVENT_BYTES_MAX
assert NUMBER_MAX**2 * 2**25 * 2**16 < 3.4e38, "sums of squares stay within float32"
assert FEATURES_MAX < 65_535, "field index 65535 is the bias"
