"""Runs on machines that are not like a developer's: each ends well, exactly, or says why not."""

import os
import subprocess
import sys
import tempfile
from collections.abc import Iterator, Sequence
from contextlib import suppress
from pathlib import Path

import pytest
from kafka.errors import TopicAlreadyExistsError

from strandline_flink.dev.broker import Broker
from strandline_flink.jars.cache import cache_dir
from tests.integration.harness import Run, check_exact, produce
from tests.streams import clicks

pytestmark = pytest.mark.timeout(300)
ROOT = Path(__file__).parents[2]
NOBODY = "54321"  # has no entry in the user database


def mounts_can_be_made() -> bool:
    """Whether a mount namespace of our own is allowed here."""
    return (
        os.getuid() == 0 and subprocess.run(["unshare", "-m", "true"], check=False).returncode == 0
    )


needs_mounts = pytest.mark.skipif(
    not mounts_can_be_made(), reason="mount namespaces need root and the right to mount"
)


def in_mounts(commands: str, *then: str) -> list[str]:
    """What a run is started with to see these mounts, and nobody else to see them."""
    script = f'set -e\nmount --make-rprivate /\n{commands}\nexec "$@"'
    return ["unshare", "-m", "sh", "-c", script, "sh", *then]


def learned(broker: Broker, topic: str, folder: Path, prefix: Sequence[str], *options: str) -> Run:
    """A bounded run that is started with `prefix` learns a topic."""
    with suppress(TopicAlreadyExistsError):
        broker.create_topic(topic, 1)
    produce(broker, topic, clicks(300), partitions=1)
    run = Run(broker.bootstrap, topic, folder, "--bounded", *options)
    run.prefix = list(prefix)
    with run:
        assert run.summary()["events"] == 300
    return run


def test_bare_environment_where_another_python_comes_first(broker: Broker, tmp_path: Path) -> None:
    """Thread mode loads the first `python3` on PATH into the JVM: its modules are not ours."""
    other = tmp_path / "bin"
    other.mkdir()
    (other / "python3").symlink_to("/usr/bin/python3")
    bare = ["env", "-i", f"HOME={Path.home()}", f"PATH={other}:/usr/bin:/bin"]
    bare += [f"STRANDLINE_CACHE={cache_dir()}"]
    run = learned(broker, "bare-environment", tmp_path, bare, "--mode=thread")
    check_exact(broker, "bare-environment", run.store_url)


@pytest.mark.rare
@pytest.mark.parametrize(("locale", "mode"), [("POSIX", "thread"), ("C", "process")])
def test_store_with_an_accent_in_a_locale_without(
    locale: str, mode: str, broker: Broker, tmp_path: Path
) -> None:
    folder = tmp_path / "mod\u00e8les"
    folder.mkdir()
    prefix = ["env", "-u", "LANG", f"LC_ALL={locale}"]
    learned(broker, f"locale-{locale.lower()}", folder, prefix, f"--mode={mode}")


@pytest.mark.rare
def test_proxy_that_nobody_runs(broker: Broker, tmp_path: Path) -> None:
    """Process mode speaks gRPC to this machine, and gRPC asks `http_proxy`, too."""
    nowhere = "http://127.0.0.1:1"
    prefix = [
        "env",
        "-u",
        "no_proxy",
        *(f"{name}={nowhere}" for name in ("http_proxy", "HTTP_PROXY")),
    ]
    run = learned(broker, "proxy", tmp_path, prefix, "--mode=process")
    check_exact(broker, "proxy", run.store_url)


@pytest.mark.rare
@needs_mounts
@pytest.mark.parametrize("codec", ["zstd", "snappy"])
def test_temporary_folder_is_mounted_noexec(codec: str, broker: Broker, tmp_path: Path) -> None:
    """Java unpacks the codec's library there and loads it."""
    noexec = tmp_path / "noexec"
    noexec.mkdir()
    mount = f"mount -t tmpfs -o noexec tmpfs {noexec}"
    topic = f"noexec-{codec}"
    broker.create_topic(topic, 1, compression_type=codec)
    learned(broker, topic, tmp_path, in_mounts(mount, "env", f"TMPDIR={noexec}"))


@pytest.fixture
def shared() -> Iterator[Path]:
    """A folder that all users may enter: pytest closes its own to others, whenever it starts."""
    with tempfile.TemporaryDirectory() as folder:
        Path(folder).chmod(0o755)
        yield Path(folder)


@pytest.mark.rare
@needs_mounts
@pytest.mark.parametrize(("name", "home"), [("unset", "-uHOME"), ("root", "HOME=/")])
def test_unknown_user_on_a_read_only_installation_without_a_home(
    name: str, home: str, broker: Broker, shared: Path
) -> None:
    """As in a container: the working folder is /, and only the store's folder can be written."""
    open_to_all = shared / "open"
    for folder in (open_to_all, open_to_all / "kernels", open_to_all / "tmp"):
        folder.mkdir()
        folder.chmod(0o777)
    mounts = readable(cache_dir(), shared / "cache", keep=False)
    mounts += readable(Path(sys.base_prefix), shared / "python")
    mounts += [f"mount --bind {ROOT} {ROOT}", f"mount -o remount,ro,bind {ROOT}", "cd /"]
    user = ["setpriv", f"--reuid={NOBODY}", f"--regid={NOBODY}", "--clear-groups"]
    variables = [
        "env",
        home,
        f"STRANDLINE_CACHE={shared / 'cache'}",
        f"TMPDIR={open_to_all / 'tmp'}",
    ]
    variables += [f"NUMBA_CACHE_DIR={open_to_all / 'kernels'}"]
    before = set(Path("/").iterdir())
    run = learned(
        broker, f"nobody-{name}", open_to_all, in_mounts("\n".join(mounts), *user, *variables)
    )
    check_exact(broker, f"nobody-{name}", run.store_url)
    assert Path(run.store_url).stat().st_uid == int(NOBODY)
    assert set(Path("/").iterdir()) == before, "no folder that is named like a home"


def readable(folder: Path, hold: Path, *, keep: bool = True) -> list[str]:
    """Commands that show a folder to all users: at `hold`, and where it is if `keep`.

    What others may not enter above it is covered by an empty folder.
    """
    hold.mkdir()
    shown = [f"mount --bind {folder} {hold}"]
    closed = [above for above in reversed(folder.parents) if not above.stat().st_mode & 0o001]
    if keep and closed:
        shown += [f"mount -t tmpfs -o mode=755 tmpfs {closed[0]}", f"mkdir -p {folder}"]
        shown += [f"mount --bind {hold} {folder}"]
    return shown
