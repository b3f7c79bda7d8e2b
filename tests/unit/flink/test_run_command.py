"""What `strandline run` shows on a terminal."""

import os
import pty
import re
import subprocess
import sys

SHOW = """
from strandline_flink.launch import run_command
run_command.line = lambda _: " ".join(f"word{n}" for n in range(30))
with run_command.reporting(quiet=False) as report:
    report(None)
"""


def test_a_line_longer_than_the_terminal_is_shown_whole() -> None:
    ours, theirs = pty.openpty()
    environment = {**os.environ, "COLUMNS": "60", "LINES": "20", "TERM": "xterm"}
    process = subprocess.Popen(
        [sys.executable, "-c", SHOW], stdout=theirs, stderr=theirs, env=environment
    )
    os.close(theirs)
    printed = b""
    try:
        while chunk := os.read(ours, 65_536):
            printed += chunk
    except OSError:
        pass  # the other end hung up
    finally:
        os.close(ours)
    assert process.wait(60) == 0, printed
    words = re.findall(rb"word[0-9]+", printed)
    assert set(words) == {b"word%d" % n for n in range(30)}
