"""Learn a model from a Kafka topic; every version is one atomic commit of an exact prefix of it.

    Kafka ─ BlockSource ─ EpochMarker ─ Worker ×n ══ by shard ══ EpochCut ─ Merger ×S
            Java          Java          Python                   Java       Python
                                          ══ EpochCut ─ Join ─ ModelStoreSink
                                             Java       Python Java: Writer ─ Committer

`strandline run` starts this file on this machine; on a cluster it is submitted with the same
arguments:

    flink run -py jobs/train.py --spec clicks.toml --bootstrap kafka:9092 --topic clicks \\
        --store /models/clicks --parallelism 4
"""

import sys

from strandline.spec import Spec
from strandline.store import create_store
from strandline_flink.job.environment import environment
from strandline_flink.job.execution import execute, one_message
from strandline_flink.job.options import JobOptions
from strandline_flink.job.topology import (
    all_in_one,
    by_shard,
    java,
    job_settings,
    one_interpreter,
    process,
    read,
    store,
    through,
)
from strandline_flink.operators.operators import Join, Learn, Merge


def main(options: JobOptions) -> None:
    spec = Spec.load(options.spec)
    options = options.submitted(create_store(options.store_url, spec).head())
    env = environment(options)
    settings = job_settings(env, options, spec)
    workers, shards = options.parallelism, options.shards
    here = (options.store_url, options.stream)

    # Events of one partition, joined into blocks that carry their positions [from, to).
    blocks = read(env, "BlockSource", java().BlockSource(settings), workers)
    # START with the version of this run's open; MARK with the positions at each barrier.
    marked = through(blocks, "EpochMarker", java().EpochMarker(settings), workers)
    # Local parameters; a delta per MARK and shard, then the newest version is taken up.
    learn = Learn(*here, shards, one_interpreter=one_interpreter(env))
    deltas = process(marked, "Worker", learn, workers)
    # CUT at the aligned barrier: everything before it is of this epoch.
    cut = through(by_shard(deltas), "EpochCut", java().EpochCut(), shards)
    # The deltas of a shard become one, staged durably where nobody reads it yet: PREPARE.
    prepared = process(cut, "Merger", Merge(*here), shards)
    if shards > 1:
        # What all shards prepared up to a barrier that is aligned over them is one epoch.
        joint = through(all_in_one(prepared), "JointCut", java().EpochCut(), 1)
        prepared = process(joint, "Join", Join(*here), 1)
    # Positions are checked, and version head + 1 is created exclusively: COMMIT.
    store(prepared, "ModelStore", java().ModelStoreSink(settings))

    execute(env, options)


if __name__ == "__main__":
    with one_message():
        main(JobOptions.from_args(sys.argv[1:]))
