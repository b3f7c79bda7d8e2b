"""The proof at the demo's end: what head holds against an independent reading of the topic."""

import time
from collections.abc import Callable, Iterable, Iterator
from typing import Final

from strandline.learners import make_learners
from strandline.parameters.base import parameters_at
from strandline.spec import CountsSpec
from strandline.store import Store, read_spec
from strandline_flink.dev.reading import (
    Difference,
    Ranges,
    Record,
    compare,
    read_counts,
    read_topic,
)

COUNTER: Final = "popularity"  # the counts learner of the demo's spec
TIMEOUT_S: Final = 60.0
READ_PER_S_MIN: Final = 2000  # slower than any machine that ran the demo
REPORT_EVERY_S: Final = 0.2


def differences(
    store: Store,
    version: int,
    *,
    bootstrap: str,
    topic: str,
    ends: dict[int, int],
    report: Callable[[str], None],
) -> Difference:
    """Read the whole topic again and compare the counts per item with the version's."""
    spec = read_spec(store)
    counter = spec.learners[COUNTER]
    assert isinstance(counter, CountsSpec), f"{COUNTER} counts"
    ranges: Ranges = {partition: (0, end) for partition, end in ends.items()}
    total = sum(ends.values())
    records = read_topic(bootstrap, topic, ranges, timeout_s=TIMEOUT_S + total / READ_PER_S_MIN)
    reading = read_counts(reported(records, total, report), ranges, spec, counter.feature)
    parameters = parameters_at(store, make_learners(spec), version)
    rows, values = parameters[f"{COUNTER}.counts"].items()
    return compare(reading, rows, values, counter.feature)


def reported(
    records: Iterable[Record], total: int, report: Callable[[str], None]
) -> Iterator[Record]:
    """Yield the records and say now and then how many were read."""
    said_s = 0.0
    for number, record in enumerate(records):
        if number % 1000 == 0 and time.monotonic() > said_s + REPORT_EVERY_S:
            said_s = time.monotonic()
            report(f"reading the topic again: {number:,} of {total:,} events")
        yield record
