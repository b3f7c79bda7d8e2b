"""What the benches say of learners that are not installed."""

from pathlib import Path

import pytest

from bench import peers


def test_peers_that_are_not_installed_are_left_out_with_the_way_to_get_them(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    monkeypatch.setenv("STRANDLINE_CACHE", str(tmp_path))
    missing = peers.missing()
    assert set(missing) == {"kcat_vw", "vw_text", "sklearn", "river"}
    assert all(peers.GET in why for why in missing.values())


def test_without_kcat_only_its_pipe_is_left_out(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    monkeypatch.setenv("STRANDLINE_CACHE", str(tmp_path))
    monkeypatch.setenv("PATH", str(tmp_path))
    peers.python().parent.mkdir(parents=True)
    peers.python().touch()
    assert set(peers.missing()) == {"kcat_vw"}
