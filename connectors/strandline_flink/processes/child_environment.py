"""The environment of every child process: one function makes it from the environment of this one.

A child finds this Python and this Java, whatever other installations the variables name, and has a
home, a user name, a temporary folder and an encoding, whatever this process was started with.
"""

import os
import pwd
import re
import sys
import sysconfig
from collections.abc import Mapping
from contextlib import suppress
from pathlib import Path
from typing import Final

import strandline
import strandline_flink
from strandline.cli.home import usable_home
from strandline_flink.processes.java_home import java_home

LOCALE: Final = "C.UTF-8"
PROGRAMS: Final = "/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin"
THIS_MACHINE: Final = ("localhost", "127.0.0.1", "::1")
# These say how a Python behaves, not which one it is; PYTHONPATH is taken up by `module_folders`.
KEPT_PYTHON: Final = (
    "PYTHONDONTWRITEBYTECODE",
    "PYTHONFAULTHANDLER",
    "PYTHONHASHSEED",
    "PYTHONPYCACHEPREFIX",
    "PYTHONWARNINGS",
)
OTHER_INSTALLATIONS: Final = re.compile(
    r"_?_?(FLINK|HADOOP|HBASE|JAVA|JDK|JRE|JVM|LOG4J|PYFLINK|PYTHON|PYVENV|YARN)_?\w*"
    r"|CLASSPATH|LANG|LANGUAGE|LC_\w+|LOGBACK_XML|SUBMIT_ARGS|_python_worker_execution_mode"
)


def child_environment(temporary: Path) -> dict[str, str]:
    """The environment of a child process whose temporary files lie in a folder of its own.

    The folder also gets what the child lacks elsewhere: a home, and a link to this Python.
    """
    inherited = {
        name: value
        for name, value in os.environ.items()
        if name in KEPT_PYTHON or not OTHER_INSTALLATIONS.fullmatch(name)
    }
    home = usable_home() or made(temporary / "home")
    user = user_name()
    return {
        **inherited,
        **without_proxy(inherited),
        "FLINK_IDENT_STRING": user,  # part of the names of Flink's log files
        "HOME": str(home),
        "JAVA_HOME": str(java_home()),
        # Java takes neither folder from TMPDIR and HOME. It loads libraries from the first one.
        "JDK_JAVA_OPTIONS": f'"-Djava.io.tmpdir={temporary}" "-Duser.home={home}"',
        "LANG": LOCALE,
        "LC_ALL": LOCALE,
        "LOGNAME": user,
        "PATH": program_path(temporary),
        # The interpreter inside a JVM does not know of this virtual environment.
        "PYTHONPATH": os.pathsep.join(module_folders()),
        "PYTHONUTF8": "1",
        "TMPDIR": str(temporary),
        "USER": user,
    }


def user_name() -> str:
    """The user's name, made up of the id where the system knows none."""
    with suppress(KeyError):
        return pwd.getpwuid(os.getuid()).pw_name
    return f"uid-{os.getuid()}"


def program_path(temporary: Path) -> str:
    """PATH whose first `python3` is this one: a JVM that loads Python asks no other variable."""
    links = made(temporary / "bin")
    link = links / "python3"
    if not link.is_symlink():
        with suppress(FileExistsError):  # another process of this folder made it
            link.symlink_to(sys.executable)
    # An empty or relative entry means whatever folder a child works in.
    asked_for = os.environ.get("PATH", "").split(os.pathsep)
    found = [folder for folder in asked_for if os.path.isabs(folder)]
    return os.pathsep.join(dict.fromkeys([str(links), *(found or PROGRAMS.split(os.pathsep))]))


def without_proxy(inherited: Mapping[str, str]) -> dict[str, str]:
    """The exceptions from the proxies, with this machine: gRPC asks them for local ports, too."""
    named = inherited.get("no_proxy") or inherited.get("NO_PROXY") or ""
    hosts = [host.strip() for host in named.split(",") if host.strip()]
    text = ",".join(dict.fromkeys([*hosts, *THIS_MACHINE]))
    return {"NO_PROXY": text, "no_proxy": text}


def module_folders() -> list[str]:
    """Where Python finds the installed packages and ours."""
    ours = [str(Path(module.__path__[0]).parent) for module in (strandline, strandline_flink)]
    installed = [sysconfig.get_path("purelib"), sysconfig.get_path("platlib")]
    asked_for = filter(None, os.environ.get("PYTHONPATH", "").split(os.pathsep))
    return list(dict.fromkeys(os.path.abspath(path) for path in (*ours, *installed, *asked_for)))


def made(folder: Path) -> Path:
    """The folder, made if it is not there."""
    folder.mkdir(parents=True, exist_ok=True)
    return folder
