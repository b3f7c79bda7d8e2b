"""How a job's program ends below `flink run`, without `strandline run` around it."""

import pytest

from strandline.errors import Rival
from strandline_flink.failure import RUN_FOLDER
from strandline_flink.job.execution import one_message


@pytest.fixture(autouse=True)
def below_flink_run(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv(RUN_FOLDER, raising=False)


def test_refusal_ends_the_program_in_one_message(capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit) as ended, one_message():
        raise Rival("version 7 stands elsewhere; start again without a savepoint")
    assert ended.value.code == Rival.exit_code
    said = capsys.readouterr()
    assert said.err == "error: version 7 stands elsewhere; start again without a savepoint\n"
    assert said.out == ""


def test_error_that_is_none_of_ours_keeps_its_trace() -> None:
    with pytest.raises(ZeroDivisionError), one_message():
        raise ZeroDivisionError
