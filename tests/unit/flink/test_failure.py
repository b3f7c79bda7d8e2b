"""From a Java stack trace back to the error a user can act on."""

from pathlib import Path

from strandline.errors import EnvironmentUnfit, StrandlineError, Superseded
from strandline_flink.failure import (
    Failure,
    as_error,
    error_classes,
    find_failure,
    read_failure,
    write_failure,
)

TRACE = """An error occurred while calling o97.result.
: java.util.concurrent.ExecutionException: org.apache.flink.runtime.client.JobExecutionException
\tat java.base/java.util.concurrent.CompletableFuture.reportGet(CompletableFuture.java:396)
Caused by: org.apache.flink.runtime.execution.SuppressRestartsException: Unrecoverable failure.
\tat strandline.flink.Fatal.because(Fatal.java:24)
\t... 4 more
Caused by: strandline.flink.Fatal: STRANDLINE[superseded] stream events is held by run 12;
start again
\tat strandline.flink.Fatal.because(Fatal.java:25)
Caused by: STRANDLINE[gap] not this one
"""


def test_the_marked_message_is_found_whole_in_a_chain_of_causes(tmp_path: Path) -> None:
    write_failure(tmp_path, TRACE)
    failure = read_failure(tmp_path)
    assert failure == Failure("superseded", "stream events is held by run 12;\nstart again")
    error = as_error(failure, tmp_path / "log")
    assert isinstance(error, Superseded)
    assert error.exit_code == 9


def test_an_unknown_failure_names_the_log(tmp_path: Path) -> None:
    write_failure(tmp_path, "java.lang.OutOfMemoryError: Java heap space\n\tat somewhere")
    error = as_error(read_failure(tmp_path), tmp_path / "train.log")
    assert type(error) is StrandlineError
    assert "OutOfMemoryError: Java heap space" in str(error)
    assert str(tmp_path / "train.log") in str(error)


def test_a_process_that_died_without_a_word_names_the_log(tmp_path: Path) -> None:
    error = as_error(read_failure(tmp_path), tmp_path / "train.log")
    assert "ended without a word" in str(error)


def test_a_text_without_a_marker_holds_no_failure() -> None:
    assert find_failure("STRANDLINE is a word, [gap] another") is None


def test_every_error_has_its_own_code() -> None:
    codes = [error.code for error in error_classes(StrandlineError)]
    assert EnvironmentUnfit.code in codes
    assert len(codes) == len(set(codes))
