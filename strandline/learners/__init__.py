"""Learners: algorithms with their tables, over one decoded event."""

from strandline.learners.base import Learner
from strandline.learners.loading import (
    empty_parameters,
    make_learners,
    one_stream_tables,
    warm_up,
)

__all__ = ["Learner", "empty_parameters", "make_learners", "one_stream_tables", "warm_up"]
