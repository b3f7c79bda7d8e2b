"""Java and Python append to one store: every number has one winner."""

import json
import re
import shutil
import subprocess
import time
from pathlib import Path

import pytest

from strandline.spec import Spec
from strandline.store import create_store
from tests.integration.java_runner import TIMEOUT_S, command

SPEC = """
name = "clicks"
[label]
path = "click"
[features.item]
kind = "category"
[learners.popularity]
type = "counts"
feature = "item"
"""
LAST = 300
HEAD_START_S = 0.0002  # of Java, 0 to 9 times: so that now one is first and now the other


def test_java_and_python_race_for_every_number(tmp_path: Path) -> None:
    store = create_store(str(tmp_path / "store"), Spec.parse(SPEC))
    winners: dict[int, set[str]] = {}
    with subprocess.Popen(
        command("race", store.url), stdin=subprocess.PIPE, stdout=subprocess.PIPE, bufsize=0
    ) as java:
        assert java.stdin is not None
        assert java.stdout is not None
        assert java.stdout.readline() == b"ready\n"
        for version in range(1, LAST + 1):
            java.stdin.write(b".")  # Java appends this version now, and so does Python
            time.sleep(version % 10 * HEAD_START_S)
            won_by_python = store.append(version, b"python %d" % version)
            won_by_java = java.stdout.readline() == b"true\n"
            verdicts = {"python": won_by_python, "java": won_by_java}
            winners[version] = {who for who, won in verdicts.items() if won}
        out, _ = java.communicate(timeout=TIMEOUT_S)

    for version, winner in winners.items():
        assert len(winner) == 1, f"version {version} was won by {winner}"
        assert store.manifest(version) == f"{min(winner)} {version}".encode()
    assert set.union(*winners.values()) == {"java", "python"}, "one was first every time: no race"
    assert json.loads(out)["head"] == store.head() == LAST
    names = {file.name for file in Path(store.url, "versions", "000000").iterdir()}
    assert names == {f"{version:010}.json" for version in range(LAST + 1)}, "temporary files stay"


@pytest.mark.skipif(shutil.which("strace") is None, reason="needs strace to see system calls")
@pytest.mark.parametrize("taken", [False, True])
def test_what_java_answers_is_durable_first(tmp_path: Path, taken: bool) -> None:
    store = create_store(str(tmp_path / "store"), Spec.parse(SPEC))
    if taken:
        store.append(1, b"python 1")
    calls = tmp_path / "calls"
    trace = ["strace", "-f", "-y", "-e", "trace=fsync,link,linkat,write", "-o", str(calls)]
    subprocess.run(
        [*trace, *command("race", store.url)],
        input=b".",
        capture_output=True,
        check=True,
        timeout=TIMEOUT_S,
    )
    folder = re.escape(str(Path(store.url, "versions", "000000")))
    steps = {
        "file durable": rf"fsync\(\d+<{folder}/",
        "linked": rf"link(at)?\(.*{folder}/",
        "folder durable": rf"fsync\(\d+<{folder}>",
        "answered true": r"write\(1<[^>]*>, \"true",
        "answered false": r"write\(1<[^>]*>, \"false",
    }
    seen = [
        step
        for line in calls.read_text(errors="replace").splitlines()
        for step, pattern in steps.items()
        if re.search(pattern, line)
    ]
    answered = f"answered {str(not taken).lower()}"
    assert seen == ["file durable", "linked", "folder durable", answered]
