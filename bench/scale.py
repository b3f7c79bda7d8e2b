"""What an epoch and a prediction cost, against the table's size, the rows touched, the workers.

`make bench-scale ARGS="--json"`

An epoch is one of a job's, step by step (`bench/epoch_steps.py`): tables of all sizes take turns,
and a ratio is made within a turn. Times of steps are CPU times of one thread, so that the wait for
the disk and for other programs is not in them. A worker's steps are given for one worker.
Memory is what the process grows by as a part of the job is made and has learned. Predictions are
of the throughput bench's events (13 numbers, 26 categories).
"""

import os
import tempfile
from argparse import Namespace
from collections.abc import Sequence
from pathlib import Path
from typing import Any, Final, TypeAlias

from bench.epoch_steps import STEPS, Steps, memory_per_slot
from bench.figures import ratio, summary
from bench.output import cell, finish, parser, progress, table
from bench.reader_speed import batch_speed, single_speed

Size: TypeAlias = tuple[int, int, int, int]

BASE_BITS: Final = 20
TOUCHED: Final = 100_000
MEMORY_BITS: Final = 24


def main() -> None:
    """Measure each part, and say what was measured."""
    options = _options()
    base = min(options.bits, key=lambda bits: abs(bits - BASE_BITS))
    with tempfile.TemporaryDirectory(dir=options.folder, prefix="strandline-scale-") as folder:
        memory = memory_per_slot(folder, options.memory_bits)
        progress(f"memory: {memory}")
        bits, touched = options.at_bits, options.touched
        by_bits = [(bits, touched, 2, 1) for bits in options.bits]
        by_rows = [(bits, rows, 1, 1) for rows in options.rows]
        by_workers = [(bits, touched // 5, workers, 1) for workers in options.workers]
        by_shards = [(bits, touched, 4, shards) for shards in options.shards]
        parts: dict[str, Any] = {
            "table_size": epochs(folder, by_bits, by_bits[options.bits.index(base)], options.turns),
            "touched_rows": epochs(folder, by_rows, by_rows[-1], options.turns),
            "workers": epochs(folder, by_workers, by_workers[0], options.turns),
            "shards": epochs(folder, by_shards, by_shards[0], options.turns),
            "memory_bytes_per_slot": memory,
            "predict": [batch_speed(bits, options.turns) for bits in options.predict_bits],
            "single": single_speed(folder, bits, options.turns, options.seconds),
        }
    finish("scale", parts, page(parts, base), options)


def epochs(folder: str, sizes: Sequence[Size], base: Size, turns: int) -> list[dict[str, Any]]:
    """Run epochs of (bits, rows, workers, shards), in turns; return the times in ms of each."""
    jobs = []
    for at, size in enumerate(sizes):
        place = os.path.join(folder, f"{len(os.listdir(folder))}-{at}")
        os.mkdir(place)
        jobs.append(Steps(place, *size))
    taken: list[list[dict[str, float]]] = [[] for _ in sizes]
    for turn in range(turns + 2):
        for job, each in zip(jobs, taken, strict=True):
            steps = job.epoch()
            if turn > 1:  # the first ones compile, and have no epoch before them
                each.append(steps)
        progress(f"epochs of {len(sizes)} sizes, turn {turn + 1} of {turns + 2}")
    totals = [[sum(steps.values()) for steps in each] for each in taken]
    compared = totals[sizes.index(base)]
    return [
        {
            "bits": bits,
            "rows": rows,
            "workers": workers,
            "shards": shards,
            "total_ms": summary(total),
            "ratio": ratio(total, compared),
            "steps_ms": {step: summary([steps[step] for steps in each]) for step in STEPS},
        }
        for (bits, rows, workers, shards), each, total in zip(sizes, taken, totals, strict=True)
    ]


def page(parts: dict[str, Any], base: int) -> str:
    """Return the tables of docs/performance.md."""
    single = parts["single"]
    memory = parts["memory_bytes_per_slot"]
    return "\n\n".join(
        [
            f"CPU ms of an epoch by table size: two workers touch {TOUCHED:,} rows each",
            _steps(parts["table_size"], "slots", lambda job: f"2^{job['bits']}", f"2^{base}"),
            "By rows touched: one worker",
            _steps(parts["touched_rows"], "rows", lambda job: f"{job['rows']:,}", "the last"),
            f"By workers: each touches {parts['workers'][0]['rows']:,} rows",
            _steps(parts["workers"], "workers", lambda job: str(job["workers"]), "the first"),
            f"By shards: four workers touch {TOUCHED:,} rows each; one merger",
            _steps(parts["shards"], "shards", lambda job: str(job["shards"]), "the first"),
            "Bytes of memory per slot of an ftrl table",
            table(list(memory), [[f"{bytes_:.1f}" for bytes_ in memory.values()]]),
            "Events/s that one core predicts",
            table(
                ["slots", "from features", "from JSON", "decoding alone"],
                [
                    [f"2^{each['bits']}", *(cell(each[what]) for what in _PREDICTED)]
                    for each in parts["predict"]
                ],
            ),
            f"One event at a time by a following reader, µs: 2^{single['bits']} slots, ten"
            " versions a second of 100,000 rows each, or none",
            table(
                ["", "no versions", "versions arrive", "ratio"],
                [
                    [
                        name,
                        cell(single[f"quiet_{name}_us"]),
                        cell(single[f"busy_{name}_us"]),
                        cell(single[f"ratio_{name}"], ".2f"),
                    ]
                    for name in ("p50", "p99")
                ],
            ),
        ]
    )


_PREDICTED: Final = ("from_features", "from_json", "decode")


def _steps(jobs: Sequence[dict[str, Any]], what: str, name: Any, base: str) -> str:
    rows = [
        ["all steps", *(cell(job["total_ms"], ".1f") for job in jobs)],
        [f"against {base}", *(cell(job["ratio"], ".2f") for job in jobs)],
        *([step, *(f"{job['steps_ms'][step]['median']:.1f}" for job in jobs)] for step in STEPS),
    ]
    return table([what, *map(name, jobs)], rows)


def _options() -> Namespace:
    arguments = parser(__doc__)
    arguments.add_argument("--bits", type=int, nargs="+", default=[18, 20, 22, 24, 26])
    arguments.add_argument("--touched", type=int, default=TOUCHED, help="rows of a worker's epoch")
    arguments.add_argument("--turns", type=int, default=7)
    arguments.add_argument("--folder", type=Path, default=Path(tempfile.gettempdir()))
    options = arguments.parse_args()
    options.at_bits, options.memory_bits, options.seconds = 22, MEMORY_BITS, 2.0
    options.rows, options.workers = [1_000, 10_000, 100_000, 1_000_000], [1, 2, 8, 32]
    options.shards = [1, 2, 4]
    options.predict_bits = [18, 22, 24]
    if options.brief:
        options.bits, options.touched, options.turns, options.seconds = [10, 12], 500, 1, 0.3
        options.rows, options.workers, options.shards = [100, 1_000], [1, 2], [1, 2]
        options.at_bits, options.memory_bits, options.predict_bits = 12, 22, [12]
    return options


if __name__ == "__main__":
    main()
