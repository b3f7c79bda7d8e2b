"""Strandline on Apache Flink: operators, handles, jars, the dev broker and their commands."""

from strandline_flink import python_worker

python_worker.prepare()  # nothing of ours can be imported in a worker before it
