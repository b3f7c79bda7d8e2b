"""The jars of a job: fetched by a lock, checked by hash, our own compiled on first use."""

from strandline_flink.jars.compiling import compiled
from strandline_flink.jars.fetching import paths

__all__ = ["compiled", "paths"]
