"""What Python inside Flink's JVM imports first: ahead of the operators, or where one opens."""

from importlib import import_module

from strandline.learners.loading import warm_up
from strandline_flink.operators import operators, without_beam

__all__ = ["operators"]

without_beam.import_functions()
import_module("pyflink.fn_execution.embedded.operation_utils")
warm_up()
