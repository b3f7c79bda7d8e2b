"""The README's programs run, and its spec is one."""

import doctest
import re
from pathlib import Path

import strandline

README = Path(__file__).parents[2] / "README.md"


def test_the_first_screen_runs() -> None:
    result = doctest.testfile(str(README), module_relative=False)
    assert result.attempted >= 7
    assert result.failed == 0


def test_the_spec_of_your_own_topic_is_valid_and_predicts() -> None:
    (text,) = re.findall(r"```toml\n(.*?)```", README.read_text("utf-8"), re.DOTALL)
    assert (README.parent / "examples/rides/rides.toml").read_text("utf-8") == text
    store = strandline.create_store("memory:", strandline.Spec.parse(text))
    (event,) = re.findall(r"echo '(.*?)' \|", README.read_text("utf-8"))
    assert strandline.open_model(store).predict([event.encode()]).scores.shape == (1,)
