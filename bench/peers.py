"""Other learners, measured beside ours where they are installed: VW, scikit-learn, River, kcat.

`python -m bench.peers` puts them into a folder of the cache, in an environment of their own:
River needs a newer NumPy than PyFlink takes, and none of them is a dependency of ours. kcat comes
from Debian's packages, unpacked there if it is not on the PATH.
"""

import json
import os
import shutil
import subprocess
from pathlib import Path
from typing import Final

from bench.contender import run_to_end
from bench.output import progress
from bench.speed import Speed
from bench.topic import Topic
from strandline_flink.jars.cache import cache_dir

ROOT: Final = Path(__file__).parents[1]
GET: Final = ".venv/bin/python -m bench.peers"
KCAT_PACKAGES: Final = ("kcat", "librdkafka1", "libyajl2")
LIBRARIES: Final = Path("usr/lib/x86_64-linux-gnu")


def python() -> Path:
    """Return the peers' Python, which may not be there."""
    return cache_dir("peers") / "env" / "bin" / "python"


def unpacked_kcat() -> Path:
    """Return where kcat's packages are unpacked, if they are."""
    return cache_dir("peers") / "kcat"


def kcat() -> list[str] | None:
    """Return the command kcat, None if it is not installed."""
    found = shutil.which("kcat")
    if found is not None:
        return [found]
    root = unpacked_kcat()
    if (root / "usr/bin/kcat").exists():
        return ["env", f"LD_LIBRARY_PATH={root / LIBRARIES}", str(root / "usr/bin/kcat")]
    return None


def missing() -> dict[str, str]:
    """Return why each peer that cannot run is left out."""
    if not python().exists():
        why = f"not installed: {GET}"
        return dict.fromkeys(("kcat_vw", "vw_text", "sklearn", "river"), why)
    if kcat() is None:
        return {"kcat_vw": f"no kcat on the PATH: {GET}"}
    return {}


def vw_text(file: Path) -> Speed:
    """VW, its own text format, from a file."""
    return run("vw", str(file))


def kcat_vw(topic: Topic) -> Speed:
    """kcat piped into VW's JSON reader."""
    consume = [*(kcat() or ()), "-C", "-e", "-q", "-o", "beginning"]
    return run("vw", "/dev/stdin", *consume, "-b", topic.bootstrap, "-t", topic.name)


def sklearn(topic: Topic) -> Speed:
    """A loop over a Kafka consumer: orjson, FeatureHasher, SGDClassifier."""
    return run("sklearn", topic.bootstrap, topic.name, str(topic.events))


def river(topic: Topic) -> Speed:
    """A loop over a Kafka consumer: orjson, River's logistic regression with FTRL.

    It reads a tenth of the topic: it is slow.
    """
    return run("river", topic.bootstrap, topic.name, str(max(topic.events // 10, 1)))


def run(peer: str, *arguments: str) -> Speed:
    """Run a peer's program to its end. It tells its own time, without what importing takes."""
    command = [str(python()), "-m", f"bench.peer_{peer}", *arguments]
    done = run_to_end(peer, command, cwd=ROOT)
    return Speed(**json.loads(done.stdout.splitlines()[-1]), cpu_s=done.cpu_s)


def install() -> None:
    """Install what is not there yet."""
    folder = cache_dir("peers")
    if not python().exists():
        uv = str(ROOT / ".venv" / "bin" / "uv")
        subprocess.run([uv, "venv", "--quiet", str(folder / "env")], check=True)
        requirements = str(ROOT / "bench" / "peers.txt")
        install = [uv, "pip", "install", "--quiet", "--python", str(python()), "-r", requirements]
        subprocess.run(install, check=True)
    if kcat() is None:
        packages = folder / "packages"
        packages.mkdir(exist_ok=True)
        download = ["apt-get", "download", *KCAT_PACKAGES]
        subprocess.run(download, cwd=packages, check=True)
        for package in sorted(packages.glob("*.deb")):
            unpack = ["dpkg", "-x", str(package), str(unpacked_kcat())]
            subprocess.run(unpack, check=True)
        shutil.rmtree(packages)
    progress(f"peers in {os.fspath(folder)}")


if __name__ == "__main__":
    install()
