"""A port that is taken is named, with who holds it."""

import os
import socket
from pathlib import Path

import pytest

from strandline.errors import EnvironmentUnfit
from strandline_flink.dev.cluster import Cluster
from strandline_flink.processes.ports import HOST, check_free, free_port, holder


def test_a_cluster_on_a_taken_port_says_who_holds_it(tmp_path: Path) -> None:
    with socket.create_server((HOST, 0)) as server:
        port = server.getsockname()[1]
        with pytest.raises(EnvironmentUnfit) as met:
            Cluster(tmp_path / "flink", port=port).start()
        assert f"port {port} is taken by process {os.getpid()} (" in str(met.value)
        assert not (tmp_path / "flink").exists(), "nothing was begun"
    check_free(port, "nobody")


def test_a_port_of_nobody_we_know_has_no_process() -> None:
    assert holder(free_port()) == "a process of another user"
