"""Java and Python append to one store: every number has one winner."""

import json
import os
import re
import shutil
import subprocess
import time
from pathlib import Path
from typing import Any

import pytest

from strandline.spec import Spec
from strandline.store import PosixStore, create_store
from tests.golden.commit_lines import long_line
from tests.integration.java_runner import SPEC, TIMEOUT_S, command, lines

LAST = 300
PACKED = 11_001
HEAD_START_S = 0.0002  # of Java at first; longer when it lost, shorter when it won


def test_java_and_python_race_for_every_number(tmp_path: Path) -> None:
    store = create_store(str(tmp_path / "store"), Spec.parse(SPEC))
    winners: dict[int, set[str]] = {}
    head_start_s = HEAD_START_S
    with subprocess.Popen(
        command("race", store.url), stdin=subprocess.PIPE, stdout=subprocess.PIPE, bufsize=0
    ) as java:
        assert java.stdin is not None
        assert java.stdout is not None
        assert java.stdout.readline() == b"ready\n"
        for version in range(1, LAST + 1):
            java.stdin.write(b".")  # Java appends this version now, and so does Python
            time.sleep(head_start_s)
            won_by_python = store.append(version, b"python %d" % version)
            won_by_java = java.stdout.readline() == b"true\n"
            head_start_s *= 0.5 if won_by_java else 2.0
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


def write_versions(folder: Path, made: dict[int, bytes]) -> None:
    """Put manifests where a writer would, without waiting for a disk."""
    for version, manifest in made.items():
        path = folder / "versions" / f"{version // 10_000:06}" / f"{version:010}.json"
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(manifest)


def test_java_finds_packed_versions_as_they_were(tmp_path: Path) -> None:
    made = dict(enumerate(long_line(PACKED)))
    write_versions(tmp_path, made)
    assert PosixStore(tmp_path).pack() == 1
    assert (tmp_path / "versions/000000").is_file()
    asked = [0, 1, 5_000, 9_999, 10_000, PACKED - 1, PACKED]
    answer = json.loads("".join(lines("versions", tmp_path, *map(str, asked))))
    assert answer.pop("head") == PACKED - 1
    assert {int(at): text for at, text in answer.items()} == {
        at: made[at].decode() if at in made else None for at in asked
    }
    for version in (0, 9_999, 10_000):
        assert json.loads("".join(lines("append", tmp_path, str(version)))) == {"created": False}
    assert json.loads("".join(lines("append", tmp_path, str(PACKED)))) == {"created": True}


@pytest.mark.skipif(shutil.which("strace") is None, reason="needs strace to hold a call back")
def test_java_that_sleeps_through_packing_does_not_get_its_number(tmp_path: Path) -> None:
    """Held back right before link(2), which then meets a file where its folder was."""
    made = dict(enumerate(long_line(PACKED)))
    for held_back_s in (4, 40):  # the longer one only where the machine is too busy for the other
        root = tmp_path / str(held_back_s)
        answer = append_while_packing(root, made, held_back_s)
        if answer is not None:
            break
    assert answer == {"created": False}
    store = PosixStore(root)
    assert all(store.manifest(at) == manifest for at, manifest in made.items())
    assert store.head() == PACKED - 1


def append_while_packing(root: Path, made: dict[int, bytes], held_back_s: int) -> Any:
    """What Java answers that held a number back while it was taken and packed; None if it woke."""
    version = 9_999
    write_versions(root, {at: made[at] for at in range(version)})
    hold = ["strace", "-f", "-o", os.devnull, "-e", "trace=link,linkat"]
    hold += ["-e", f"inject=link,linkat:delay_enter={held_back_s * 1_000_000}"]
    with subprocess.Popen(
        [*hold, *command("append", root, str(version))], stdout=subprocess.PIPE, text=True
    ) as java:
        folder = root / "versions/000000"
        deadline = time.monotonic() + TIMEOUT_S
        while not any(name.startswith(".tmp-") for name in os.listdir(folder)):
            assert time.monotonic() < deadline
            time.sleep(0.005)
        write_versions(root, {at: made[at] for at in range(version, PACKED)})
        assert PosixStore(root).pack() == 1
        slept = java.poll() is None
        out, _ = java.communicate(timeout=TIMEOUT_S)
    return json.loads(out) if slept else None
