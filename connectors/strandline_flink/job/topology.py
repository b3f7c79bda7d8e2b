"""The words that `jobs/train.py` is written in: Java operators in a PyFlink stream."""

from importlib import import_module
from typing import Any, Final

from pyflink.common import Types, WatermarkStrategy
from pyflink.datastream import DataStream, ProcessFunction, StreamExecutionEnvironment
from pyflink.datastream.connectors.base import Sink
from pyflink.datastream.data_stream import _create_j_data_stream_python_function_info
from pyflink.java_gateway import get_gateway
from pyflink.util.java_utils import get_j_env_configuration

import strandline
from strandline.learners.loading import make_learners, one_stream_tables
from strandline.spec import Spec
from strandline_flink.job.kafka_settings import KafkaSettings
from strandline_flink.job.options import JobOptions
from strandline_flink.operators.without_beam import import_functions

BYTES: Final = Types.PRIMITIVE_ARRAY(Types.BYTE())


def java() -> Any:
    """Our Java package. Its classes are there once the environment has our jar."""
    return get_gateway().jvm.strandline.flink


def job_settings(env: StreamExecutionEnvironment, options: JobOptions, spec: Spec) -> Any:
    """What the Java half needs to know, as one Java object."""
    properties = get_gateway().jvm.java.util.HashMap()
    properties.put("bootstrap.servers", options.bootstrap)
    for key, value in KafkaSettings.load(options.kafka_config).java_properties().items():
        properties.put(key, value)
    return java().JobSettings(
        job_python(env),
        strandline.__version__,
        options.store_url,
        options.stream,
        options.submission,
        options.start,
        options.takeover,
        options.topic_again,
        properties,
        options.topic,
        options.bounded,
        list(one_stream_tables(make_learners(spec))),
    )


def job_python(env: StreamExecutionEnvironment) -> str:
    """The Python of the job's machines: Flink's setting, and Flink's default for it."""
    found = _setting(env._j_stream_execution_environment, "python.executable")
    return "python" if found is None else found


def read(env: StreamExecutionEnvironment, name: str, source: Any, parallelism: int) -> DataStream:
    """The elements of a Java source."""
    no_watermarks = WatermarkStrategy.no_watermarks()._j_watermark_strategy
    stream = env._j_stream_execution_environment.fromSource(source, no_watermarks, name)
    return named(DataStream(stream), name, parallelism)


def through(stream: DataStream, name: str, operator: Any, parallelism: int) -> DataStream:
    """What a Java operator makes of a stream."""
    bytes_ = BYTES.get_java_type_info()
    transformed = stream._j_data_stream.transform(name, bytes_, operator)
    return named(DataStream(transformed), name, parallelism)


def process(
    stream: DataStream, name: str, function: ProcessFunction, parallelism: int
) -> DataStream:
    """What a Python function makes of a stream. Its accounts become metrics right behind it.

    To and from processes beside the JVM large elements go as files in memory, not through gRPC.
    """
    import_functions()
    if in_processes(stream):
        files = through(stream, f"{name}-IntoFiles", java().IntoFiles(), parallelism)
        made = named(files.process(function, BYTES), name, parallelism)
        answers = through(made, f"{name}-OutOfFiles", java().OutOfFiles(), parallelism)
    else:
        answers = through(stream, name, inside(stream, function), parallelism)
    return through(answers, f"{name}Accounts", java().Accounts(), parallelism)


def inside(stream: DataStream, function: ProcessFunction) -> Any:
    """The operator that runs a Python function inside the JVM."""
    kind = import_module("pyflink.fn_execution.flink_fn_execution_pb2")
    made = _create_j_data_stream_python_function_info(
        function, kind.UserDefinedDataStreamFunction.PROCESS
    )
    environment = stream._j_data_stream.getExecutionEnvironment()
    return java().PythonInside(get_j_env_configuration(environment), made)


def in_processes(stream: DataStream) -> bool:
    """Whether Python runs in processes of its own, not inside the JVM."""
    environment = stream._j_data_stream.getExecutionEnvironment()
    return _setting(environment, "python.execution-mode") == "process"


def one_interpreter(env: StreamExecutionEnvironment) -> bool:
    """Whether one Python runs all operators: inside the one JVM that is Flink on this machine."""
    environment = env._j_stream_execution_environment
    local = _setting(environment, "execution.target") == "local"
    return local and _setting(environment, "python.execution-mode") == "thread"


def _setting(environment: Any, key: str) -> str | None:
    found = get_j_env_configuration(environment).toMap().get(key)
    return None if found is None else str(found)


def by_shard(stream: DataStream) -> DataStream:
    """Every element at the instance of what comes next whose shard it names."""
    route = java().ByShard()
    return DataStream(stream._j_data_stream.partitionCustom(route, route))


def all_in_one(stream: DataStream) -> DataStream:
    """All parallel instances' elements at the first instance of what comes next."""
    return DataStream(getattr(stream._j_data_stream, "global")())  # a keyword in Python


def store(stream: DataStream, name: str, sink: Any) -> None:
    """Write a stream to a Java sink, in one instance."""
    stream.sink_to(Sink(sink)).name(name).uid(name).set_parallelism(1)


def named(stream: DataStream, name: str, parallelism: int) -> DataStream:
    """The uid ties an operator to its state in a savepoint: names must not change."""
    return stream.name(name).uid(name).set_parallelism(parallelism)
