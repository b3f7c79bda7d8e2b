"""Fixtures for all tests, and the memory that a run may take."""

import signal
from collections.abc import Iterator

import psutil
import pytest
from hypothesis import settings

from strandline_flink.dev.broker import Broker
from tests.peak_memory import PeakMemory, adopt_orphans, tree_rss_bytes

MEMORY_LIMIT_BYTES = 4 * 10**9
# A broker, a client, a JobManager, two TaskManagers and their Python processes, all at once.
MEMORY_LIMIT_LONG_BYTES = 6 * 10**9
settings.register_profile("strandline", deadline=None)  # pytest-timeout bounds a whole test
settings.load_profile("strandline")
# A shell starts what runs in its background with Ctrl-C ignored, and children inherit that.
signal.signal(signal.SIGINT, signal.default_int_handler)
SAMPLER = pytest.StashKey[PeakMemory]()


def memory_limit_bytes(config: pytest.Config) -> int:
    """The limit of the tests that were asked for."""
    short = config.getoption("markexpr").startswith("not long")
    return MEMORY_LIMIT_BYTES if short else MEMORY_LIMIT_LONG_BYTES


def pytest_sessionstart(session: pytest.Session) -> None:
    adopt_orphans()
    this = psutil.Process()
    sampler = PeakMemory(lambda: tree_rss_bytes(this))
    session.config.stash[SAMPLER] = sampler
    sampler.start()


@pytest.hookimpl(trylast=True)
def pytest_sessionfinish(session: pytest.Session) -> None:
    sampler = session.config.stash[SAMPLER]
    sampler.stop()
    if sampler.peak_bytes > memory_limit_bytes(session.config):
        session.exitstatus = pytest.ExitCode.TESTS_FAILED


def pytest_terminal_summary(terminalreporter: pytest.TerminalReporter) -> None:
    config = terminalreporter.config
    peak_bytes, limit_bytes = config.stash[SAMPLER].peak_bytes, memory_limit_bytes(config)
    verdict = "ok" if peak_bytes <= limit_bytes else "TOO MUCH: the run fails"
    terminalreporter.write_line(
        f"peak memory of all processes together: {peak_bytes / 1e9:.2f} GB "
        f"(limit {limit_bytes / 1e9:.0f} GB): {verdict}"
    )


@pytest.fixture(scope="session")
def broker(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Broker]:
    """One real Kafka broker for the whole run: make topics of your own, never stop it."""
    with Broker(tmp_path_factory.mktemp("kafka")) as running:
        yield running
