"""Large elements as files: what Python takes and what it hands over."""

import mmap
import os
from pathlib import Path

import numpy as np
import pytest

from strandline.events.block import Block
from strandline.events.records import Records
from strandline_flink.operators import wire
from strandline_flink.operators.handles import LARGE_BYTES, Handles


def handle(file: Path) -> bytes:
    return b"H" + os.fsencode(file)


@pytest.fixture
def handles(tmp_path: Path) -> Handles:
    """As they are once Java has handed over an element in this folder."""
    made = Handles()
    (tmp_path / "0").write_bytes(b"B")
    made.take(handle(tmp_path / "0"))
    return made


def test_a_block_is_taken_from_its_file_which_is_gone_then(tmp_path: Path) -> None:
    values = [b"first", None, b"x" * 100_000]
    block = Block(1, 5, 9, np.array([5, 6, 8]), Records.of(values), 1, 2)
    file = tmp_path / "0"
    file.write_bytes(wire.encode_block(block))
    taken = Handles().take(handle(file))
    assert isinstance(taken, mmap.mmap)
    assert not file.exists()
    again = wire.decode_block(taken)
    assert (wire.kind(taken), list(again.records)) == (b"B", values)
    assert again.offsets.tolist() == [5, 6, 8]


def test_an_element_that_is_no_handle_is_itself() -> None:
    assert Handles().take(b"Canything") == b"Canything"


def test_a_file_that_is_gone_is_an_error(tmp_path: Path) -> None:
    with pytest.raises(FileNotFoundError):
        Handles().take(handle(tmp_path / "0"))


def test_large_answers_go_as_files_beside_those_that_came(handles: Handles, tmp_path: Path) -> None:
    large = [b"D" + bytes([index]) * LARGE_BYTES for index in range(2)]
    small = b"S" + b"x" * (LARGE_BYTES - 2)
    answers = list(handles.hand_over([large[0], small, large[1]]))
    assert [wire.kind(answer) for answer in answers] == [b"H", b"S", b"H"]
    assert sorted(os.fsencode(file) for file in tmp_path.iterdir()) == [
        answers[0][1:],
        answers[2][1:],
    ]
    assert [bytes(Handles().take(answer)) for answer in answers] == [large[0], small, large[1]]


def test_in_thread_mode_no_answer_is_a_file() -> None:
    large = b"D" + b"x" * LARGE_BYTES
    assert list(Handles().hand_over([large])) == [large]


def test_an_answer_that_finds_no_space_goes_as_it_is(handles: Handles, tmp_path: Path) -> None:
    tmp_path.rmdir()
    large = b"D" + b"x" * LARGE_BYTES
    assert list(handles.hand_over([large])) == [large]
