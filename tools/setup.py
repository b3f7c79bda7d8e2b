"""Make .venv with everything that `make demo` or, with --dev, `make test` needs.

Runs on the system's Python and the standard library alone, and parses on Python 3.8, so that a
Python that is too old gets a message instead of a SyntaxError. What would fail later is checked
first. A second run finds its stamp, needs no network and ends at once.
"""

import argparse
import fcntl
import hashlib
import importlib.util
import os
import platform
import shutil
import subprocess
import sys
import time
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent
VENV = ROOT / ".venv"
REQUIREMENTS = ROOT / "requirements"
PYTHONS = ((3, 11), (3, 12))
COMPILE = (
    "import compileall, sysconfig;"
    " compileall.compile_dir(sysconfig.get_path('purelib'), quiet=2, workers=0)"
)
DISK_BYTES = 3_000_000_000
DOWNLOAD_MB = {"run": 660, "dev": 775}
EXIT_ENVIRONMENT_UNFIT = 3


def main():
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--dev", action="store_true", help="also what tests and checks need")
    wanted = "dev" if parser.parse_args().dev else "run"
    if is_ready(wanted):
        return 0
    problems = list(find_problems())
    for problem in problems:
        print("setup: " + problem, file=sys.stderr)
    if problems:
        return EXIT_ENVIRONMENT_UNFIT
    with one_at_a_time():
        return 0 if is_ready(wanted) else install(wanted)


# What is looked at first


def find_problems():
    """One message for everything that is missing: what, got, expected, what to do."""
    if sys.version_info[:2] not in PYTHONS:
        yield (
            "Python is {} ({}), expected 3.11 or 3.12 (PyFlink has no packages for others): "
            "install one and run again with PYTHON=python3.12".format(
                platform.python_version(), sys.executable
            )
        )
    if (platform.system(), platform.machine()) != ("Linux", "x86_64"):
        yield (
            "this machine is {} {}, expected Linux x86_64 (PyFlink has no packages for others): "
            "use an x86_64 Linux machine or container".format(platform.system(), platform.machine())
        )
    elif platform.libc_ver()[0] != "glibc":
        yield (
            "the C library is not glibc, expected glibc (PyFlink has no packages for others): "
            "use a Debian, Ubuntu, Fedora or similar system or container, not Alpine"
        )
    if importlib.util.find_spec("venv") is None or importlib.util.find_spec("ensurepip") is None:
        yield (
            "{} cannot make virtual environments (no venv or ensurepip), expected both: "
            "on Debian and Ubuntu: apt-get install python{}.{}-venv".format(
                sys.executable, *sys.version_info[:2]
            )
        )
    for folder in {existing(ROOT), existing(cache_dir())}:
        free = shutil.disk_usage(str(folder)).free
        if free < DISK_BYTES:
            yield "{} has {:.1f} GB free, expected {:.0f} GB: free some space{}".format(
                folder,
                free / 1e9,
                DISK_BYTES / 1e9,
                "" if folder == ROOT else ", or set STRANDLINE_CACHE to a folder elsewhere",
            )
        if not os.access(str(folder), os.W_OK):
            yield "{} cannot be written, expected a folder that can: run as its owner{}".format(
                folder, "" if folder == ROOT else ", or set STRANDLINE_CACHE to a folder elsewhere"
            )


def cache_dir():
    """The same folder as `strandline_flink.jars.cache.cache_dir`."""
    named = os.environ.get("STRANDLINE_CACHE")
    if named:
        return Path(named)
    shared = os.environ.get("XDG_CACHE_HOME")
    return (Path(shared) if shared else Path(os.path.expanduser("~")) / ".cache") / "strandline"


def existing(folder):
    """The folder, or the nearest one above it that is there."""
    return next(above for above in [folder, *folder.parents] if above.exists())


# The stamp: what was installed from which bytes


def stamp_file(wanted):
    return VENV / "strandline-{}.stamp".format(wanted)


def stamp(wanted):
    """Changes with everything that decides what is in .venv and in the jar cache."""
    digest = hashlib.sha256()
    for part in (wanted, sys.version.split()[0], str(ROOT), str(cache_dir())):
        digest.update(part.encode() + b"\n")
    lock = REQUIREMENTS / "{}.txt".format(wanted)
    jars = ROOT / "connectors" / "strandline_flink" / "jars" / "jars.lock"
    for file in (REQUIREMENTS / "tools.txt", lock, ROOT / "pyproject.toml", jars, Path(__file__)):
        digest.update(hashlib.sha256(file.read_bytes()).digest())
    return digest.hexdigest()


def is_ready(wanted):
    file = stamp_file(wanted)
    return file.exists() and file.read_text() == stamp(wanted)


class one_at_a_time:  # noqa: N801  (reads as a statement)
    """Two `make` in one checkout: the second waits for the first."""

    def __enter__(self):
        self.folder = os.open(str(ROOT), os.O_RDONLY)
        fcntl.flock(self.folder, fcntl.LOCK_EX)

    def __exit__(self, *_):
        os.close(self.folder)


# Installing


def install(wanted):
    started_s = time.monotonic()
    print(
        "setup: Python {} -> {}; downloads about {} MB unless cached".format(
            platform.python_version(), VENV, DOWNLOAD_MB[wanted]
        )
    )
    python = str(VENV / "bin" / "python")
    lock = str(REQUIREMENTS / "{}.txt".format(wanted))
    tools = ["-m", "pip", "install", "--quiet", "--require-hashes", "-r"]
    uv = [str(VENV / "bin" / "uv"), "pip", "install", "--python", python, "--no-build-isolation"]
    locked = [*uv, "--require-hashes", "-r", lock]
    stages = [
        {"the environment": [sys.executable, "-m", "venv", *clear_if_other_python(), str(VENV)]},
        {"the installer": [python, *tools, str(REQUIREMENTS / "tools.txt")]},
        {"the locked packages": locked},
        {"Strandline itself": [*uv, "--quiet", "--no-deps", "--editable", str(ROOT)]},
        {
            "the kernels' machine code": [
                python,
                "-m",
                "strandline.cli",
                "warm",
            ],  # no first event waits for it
            "the packages' bytecode": [python, "-c", COMPILE],  # once here, not at every start
            "the locked jars": [python, "-m", "strandline_flink.jars"],
        },
    ]
    for number, commands in enumerate(stages, 1):
        print("setup: {}/{} {}".format(number, len(stages), ", ".join(commands)), flush=True)
        failed = run_together(commands, environment(python))
        for name, code in failed.items():
            print(failure(name, commands[name], code), file=sys.stderr)
        if failed:
            return EXIT_ENVIRONMENT_UNFIT
    for done in {wanted, "run"}:  # dev holds all of run
        stamp_file(done).write_text(stamp(done))
    print("setup: ready in {:.0f} s".format(time.monotonic() - started_s))
    return 0


def run_together(commands, env):
    """Run the commands at the same time; the exit codes of those that failed, by name."""
    started = {}
    try:
        for name, command in commands.items():
            started[name] = subprocess.Popen(command, cwd=str(ROOT), env=env)
        codes = {name: process.wait() for name, process in started.items()}
    finally:
        for process in started.values():
            if process.poll() is None:  # this one was interrupted, or could not start the others
                process.terminate()
                process.wait()
    return {name: code for name, code in codes.items() if code}


def clear_if_other_python():
    """An environment of another Python is replaced; one of this Python is kept and brought up."""
    python = VENV / "bin" / "python"
    if not python.exists():
        return ["--clear"]
    ask = [str(python), "-c", "import sys; print(sys.version.split()[0])"]
    result = subprocess.run(ask, stdout=subprocess.PIPE, check=False)
    return [] if result.stdout.decode().strip() == sys.version.split()[0] else ["--clear"]


def environment(python):
    """This process's environment, with pip's own index and certificate settings told to uv."""
    env = dict(os.environ, PIP_DISABLE_PIP_VERSION_CHECK="1")
    env.pop("PYTHONPATH", None)
    env.pop("VIRTUAL_ENV", None)
    if not Path(python).exists():
        return env
    listed = subprocess.run(
        [python, "-m", "pip", "config", "list"], stdout=subprocess.PIPE, check=False, env=env
    )
    for line in listed.stdout.decode().splitlines():
        key, _, value = line.partition("=")
        name = {"index-url": "UV_DEFAULT_INDEX", "cert": "SSL_CERT_FILE"}.get(key.rsplit(".")[-1])
        if name:
            env.setdefault(name, value.strip("'\""))
    return env


def failure(name, command, code):
    return (
        "setup: {} could not be installed: {} ended with {}. Its own words are above. "
        "With no network or a damaged download: mend that and run again, what arrived is kept. "
        "To begin anew: make clean".format(name, " ".join(command[:4]), code)
    )


if __name__ == "__main__":
    try:
        sys.exit(main())
    except KeyboardInterrupt:
        sys.exit("setup: interrupted; run again to go on")
