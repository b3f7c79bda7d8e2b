"""Our Java sources, compiled against the installed PyFlink on first use.

One jar per content: its name holds the hash of everything that decides its bytes, so it is never
stale, and two processes that compile at once put the same file in place.
"""

import hashlib
import os
import subprocess
import zipfile
from importlib.metadata import version
from importlib.util import find_spec
from pathlib import Path

from strandline.errors import EnvironmentUnfit
from strandline_flink.jars.cache import cache_dir, publish, scratch_dir
from strandline_flink.jars.fetching import locked, paths
from strandline_flink.processes.child_environment import child_environment
from strandline_flink.processes.java_home import java

# `--release` needs a full JDK; these two work on a bare runtime.
OPTIONS = ("-source", "17", "-target", "17", "-encoding", "UTF-8", "-proc:none", "-g", "-warn:none")
FAULTS = (
    "compareIdentical,deadCode,emptyBlock,fallthrough,finally,hashCode,localHiding,"
    "noEffectAssign,null,raw,resource,semicolon,static-access,unchecked,"
    "unusedImport,unusedLabel,unusedLocal,unusedPrivate,unusedTypeArgs,uselessTypeCheck"
)
COMPILE_TIMEOUT_S = 120
# Flink looks for what may look at REST requests under this name.
SERVICE = "META-INF/services/org.apache.flink.runtime.io.network.netty.InboundChannelHandlerFactory"
PROVIDER = "strandline.flink.ReadOnlyRest"


def compiled() -> Path:
    """The jar of our Java classes, compiled first if this content never was.

    Raises `EnvironmentUnfit` with the compiler's words if the sources do not compile.
    """
    root = source_root()
    sources = sorted(root.rglob("*.java"))
    target = cache_dir("classes") / f"strandline-{content_hash(root, sources)}.jar"
    if not target.exists():
        with scratch_dir(target.parent) as scratch:
            classes = scratch / "classes"
            classes.mkdir()
            if sources:
                compile_java(sources, classes, flink_jars() + paths("connector"))
            jar = scratch / target.name
            pack(classes, jar)
            publish(jar, target)
    return target


def source_root() -> Path:
    """In a wheel the sources lie inside the package, in a checkout beside it."""
    package = Path(__file__).parents[1]
    inside = package / "java"
    return inside if inside.is_dir() else package.parent / "java"


def content_hash(root: Path, sources: list[Path]) -> str:
    """16 hex digits over the sources, PyFlink's version, the locked jars and the options."""
    parts = [version("apache-flink"), *OPTIONS, FAULTS, SERVICE, PROVIDER]
    parts += [jar.sha256 for jar in (*locked("compiler"), *locked("connector"))]
    digest = hashlib.sha256("\n".join(parts).encode())
    for source in sources:
        content = source.read_bytes()
        digest.update(f"\n{source.relative_to(root).as_posix()} {len(content)}\n".encode())
        digest.update(content)
    return digest.hexdigest()[:16]


def flink_jars() -> list[Path]:
    """The jars that every Flink process of a PyFlink job has on its class path."""
    spec = find_spec("pyflink")
    if spec is None or spec.origin is None:
        raise EnvironmentUnfit(
            "PyFlink is not installed in this environment; install it in a clone of"
            " Strandline: make setup, or pip install '.[flink]'"
        )
    home = Path(spec.origin).parent
    return sorted([*home.glob("lib/*.jar"), *home.glob("opt/flink-python-*.jar")])


def compile_java(sources: list[Path], classes: Path, class_path: list[Path]) -> None:
    """Compile into the folder `classes`. Raises `EnvironmentUnfit` with every error at once."""
    (compiler,) = paths("compiler")
    command: list[str | Path] = [
        java(),
        "-XX:+UseSerialGC",
        "-XX:TieredStopAtLevel=1",
        "-jar",
        compiler,
    ]
    command += [*OPTIONS, f"-err:{FAULTS}", "-d", classes]
    command += ["-cp", os.pathsep.join(map(str, class_path)), *sources]
    result = subprocess.run(
        command,
        capture_output=True,
        check=False,
        encoding="utf-8",
        env=child_environment(classes.parent),
        errors="replace",
        timeout=COMPILE_TIMEOUT_S,
    )
    if result.returncode:
        raise EnvironmentUnfit(
            f"the Java sources do not compile against PyFlink {version('apache-flink')}:\n"
            f"{result.stderr.strip()}"
        )


def pack(classes: Path, jar: Path) -> None:
    """Same classes, same bytes: entries are sorted and carry no time."""
    with zipfile.ZipFile(jar, "w", zipfile.ZIP_DEFLATED) as archive:
        archive.writestr(zipfile.ZipInfo("META-INF/MANIFEST.MF"), "Manifest-Version: 1.0\n\n")
        archive.writestr(zipfile.ZipInfo(SERVICE), f"{PROVIDER}\n")
        for file in sorted(classes.rglob("*.class")):
            entry = zipfile.ZipInfo(file.relative_to(classes).as_posix())
            archive.writestr(entry, file.read_bytes(), zipfile.ZIP_DEFLATED)
