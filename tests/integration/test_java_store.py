"""Java and Python append to one store: every number has one winner."""

import json
import subprocess
import time
from pathlib import Path

from strandline.spec import Spec
from strandline.store import create_store

from .java_runner import TIMEOUT_S, command

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
