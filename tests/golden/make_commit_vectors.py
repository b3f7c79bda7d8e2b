"""Make the shared vectors of the commit: `python tests/golden/make_commit_vectors.py`.

Every implementation of the commit, in whatever language, runs all files of tests/golden/commit.
`manifests` are the texts of versions 0, 1, 2 …; the last one is head.

* A vector with `committable` asks what to do with that committable at head. `expect.outcome` is
  create, mine, superseded, rival or gap; `version` is the version to create, or the one that is
  mine; `manifest` the text to create it with. Both are null where they say nothing.
* A vector with `open` asks the same of an open; its outcomes are create, found, superseded, rival,
  gap, contested, second_stream and topic_taken.
"""

import json
from pathlib import Path
from typing import Any

from strandline.commit.committable import Committable
from strandline.commit.committing import Create, decide
from strandline.commit.opening import Opening, decide_open
from strandline.errors import StrandlineError
from tests.golden.commit_cases import commit_cases
from tests.golden.commit_lines import Line
from tests.golden.open_cases import open_cases

FOLDER = Path(__file__).parent / "commit"


def render(line: Line, question: dict[str, Any], expect: dict[str, Any]) -> str:
    manifests = [manifest.decode() for manifest in line.manifests]
    vector = {"manifests": manifests} | question | {"expect": expect}
    return json.dumps(vector, indent=1, ensure_ascii=True) + "\n"


def commit_vector(line: Line, data: bytes, outcome: str) -> str:
    decision = decide(line.head, line.manifests.__getitem__, Committable.parse(data))
    expect: dict[str, Any] = {"outcome": outcome, "version": None, "manifest": None}
    if isinstance(decision, StrandlineError):
        found = decision.code
    else:
        found = type(decision).__name__.lower()
        expect["version"] = decision.version
        if isinstance(decision, Create):
            expect["manifest"] = decision.manifest.decode()
    assert found == outcome, f"expected {outcome}, decided {found}: {decision}"
    return render(line, {"committable": data.decode()}, expect)


def open_vector(line: Line, wanted: Opening, outcome: str) -> str:
    decision = decide_open(line.head, line.manifests.__getitem__, wanted)
    expect: dict[str, Any] = {"outcome": outcome, "version": None, "manifest": None}
    if isinstance(decision, StrandlineError):
        found = decision.code
    else:
        found = "create" if isinstance(decision, Create) else "found"
        expect["version"] = decision.version
        if isinstance(decision, Create):
            expect["manifest"] = decision.manifest.decode()
    assert found == outcome, f"expected {outcome}, decided {found}: {decision}"
    return render(line, {"open": open_question(wanted)}, expect)


def open_question(wanted: Opening) -> dict[str, Any]:
    """The open as JSON, as every implementation reads it."""
    return {
        "stream": wanted.stream,
        "run": wanted.run,
        "key": {"restored": wanted.key.restored, "submission": wanted.key.submission},
        "positions": wanted.positions,
        "source": wanted.source,
        "time_ms": wanted.time_ms,
        "takeover": wanted.takeover,
        "topic_again": wanted.topic_again,
        "one_stream": list(wanted.one_stream),
    }


def vectors() -> dict[str, str]:
    """Return file name -> text of every vector."""
    made: dict[str, str] = {}
    for name, line_, data, outcome in commit_cases():
        made[file_name(name)] = commit_vector(line_, data, outcome)
    for name, line_, wanted, outcome in open_cases():
        made[file_name(name)] = open_vector(line_, wanted, outcome)
    return made


def file_name(name: str) -> str:
    return name.replace("'", "").replace(" ", "_") + ".json"


def main() -> None:
    FOLDER.mkdir(exist_ok=True)
    for stale in FOLDER.glob("*.json"):
        stale.unlink()
    for name, text in vectors().items():
        (FOLDER / name).write_text(text)


if __name__ == "__main__":
    main()
