"""`ElementFiles`: large elements as files in memory, which die with their JVM."""

import os
import re
import subprocess
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

from strandline_flink.operators.handles import LARGE_BYTES, Handles
from tests.integration.java_runner import TIMEOUT_S, command, lines


@contextmanager
def handing_over(root: Path, size_bytes: int) -> Iterator[tuple[subprocess.Popen[str], str]]:
    """A JVM that has handed over an element and waits; and what it sent."""
    arguments = command(root, str(size_bytes), runner="FilesRunner")
    with subprocess.Popen(
        arguments, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True
    ) as process:
        assert process.stdout is not None
        try:
            yield process, process.stdout.readline().rstrip("\n")
        finally:
            process.kill()


def test_python_takes_what_java_handed_over_and_nothing_is_left(tmp_path: Path) -> None:
    with handing_over(tmp_path, LARGE_BYTES) as (process, handle):
        file = Path(handle[1:])
        assert (handle[0], file.parent.parent) == ("H", tmp_path)
        assert file.parent.stat().st_mode & 0o777 == 0o700
        assert bytes(Handles().take(handle.encode())) == b"x" * LARGE_BYTES
        assert list(file.parent.iterdir()) == []
        process.communicate(timeout=TIMEOUT_S)
    assert list(tmp_path.iterdir()) == []


def test_java_takes_what_was_handed_over(tmp_path: Path) -> None:
    handle, length = lines(tmp_path, str(LARGE_BYTES), "take", runner="FilesRunner")
    assert (handle[0], int(length)) == ("H", LARGE_BYTES)
    assert list(tmp_path.iterdir()) == []


def test_what_nobody_took_goes_when_the_operator_closes(tmp_path: Path) -> None:
    with handing_over(tmp_path, LARGE_BYTES) as (process, handle):
        assert Path(handle[1:]).stat().st_size == LARGE_BYTES
        process.communicate(timeout=TIMEOUT_S)
    assert list(tmp_path.iterdir()) == []


def test_a_small_element_is_no_file(tmp_path: Path) -> None:
    with handing_over(tmp_path, LARGE_BYTES - 1) as (_, sent):
        assert sent == "x" * (LARGE_BYTES - 1)


def test_killed_jvm_leaves_a_folder_that_the_next_one_removes(tmp_path: Path) -> None:
    foreign = tmp_path / "strandline-1-1-1-1"  # of other process ids: nothing is known of it
    foreign.mkdir()
    with (
        handing_over(tmp_path, LARGE_BYTES) as (_, living),
        handing_over(tmp_path, LARGE_BYTES) as (victim, left),
    ):
        victim.kill()
        victim.wait()
        assert Path(left[1:]).exists()
        with handing_over(tmp_path, LARGE_BYTES) as (_, next_one):
            assert not Path(left[1:]).parent.exists()
            assert Path(living[1:]).exists()
            assert Path(next_one[1:]).exists()
    assert foreign.exists()


@pytest.mark.skipif(os.geteuid() != 0, reason="only root makes what is another user's")
def test_what_another_user_calls_an_orphan_stays(tmp_path: Path) -> None:
    process_ids = re.sub(r"\D", "", str(Path("/proc/self/ns/pid").readlink()))
    orphan, folder, link, target = (
        tmp_path / name
        for name in (*(f"strandline-{process_ids}-1-{n}-1" for n in (7, 8, 9)), "target")
    )
    for path in (orphan, folder, target):
        path.mkdir()
        (path / "file").touch()
    os.chown(folder, 65_534, 65_534)
    link.symlink_to(target)
    with handing_over(tmp_path, LARGE_BYTES) as (process, _):
        process.communicate(timeout=TIMEOUT_S)
    assert not orphan.exists()
    assert (folder / "file").exists()
    assert (target / "file").exists()


def test_an_element_goes_through_grpc_where_no_space_is_left(tmp_path: Path) -> None:
    room = tmp_path / "room"
    room.mkdir()
    size = ["sh", "-c", 'ulimit -f 16; exec "$@"', "sh"]  # files of 8 KiB at most
    arguments = [*size, *command(room, str(LARGE_BYTES), runner="FilesRunner")]
    done = subprocess.run(
        arguments, input="", capture_output=True, text=True, check=False, timeout=TIMEOUT_S
    )
    assert done.stdout.startswith("xxx"), done.stderr
    assert list(room.iterdir()) == []
