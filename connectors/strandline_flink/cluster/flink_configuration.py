"""What every Flink process of ours is told, whether it is a local run's or a cluster's."""

import json
import sys
from pathlib import Path
from typing import Any, Final

from strandline_flink.processes.java_home import java_home

# PyFlink's own list names jdk.compiler, which a bare Java runtime has not.
OPENED: Final = (
    "java.base/java.lang java.base/java.lang.reflect java.base/java.io java.base/java.net "
    "java.base/java.nio java.base/java.text java.base/java.time java.base/java.util "
    "java.base/java.util.concurrent java.base/java.util.concurrent.atomic "
    "java.base/java.util.concurrent.locks java.base/sun.nio.ch"
)
EXPORTED: Final = "java.rmi/sun.rmi.registry java.security.jgss/sun.security.krb5"


def java_options() -> list[str]:
    """What Flink needs to reach inside Java."""
    opened = [f"--add-opens={name}=ALL-UNNAMED" for name in OPENED.split()]
    return opened + [f"--add-exports={name}=ALL-UNNAMED" for name in EXPORTED.split()]


def machine_settings() -> dict[str, Any]:
    """The Java and the Python of this machine."""
    return {
        "env.java.opts.all": " ".join(java_options()),
        "env.java.home": str(java_home()),
        "python.client.executable": sys.executable,
        "python.executable": sys.executable,
    }


def write_configuration(folder: Path, settings: dict[str, Any]) -> None:
    """Write Flink's `config.yaml`; JSON is YAML."""
    (folder / "config.yaml").write_text(json.dumps(settings, indent=1))
