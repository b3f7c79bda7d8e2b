"""docs/spec.md lists every setting of a spec with its default, and its example is one."""

import json
import re
from pathlib import Path
from typing import Any

import msgspec
import pytest

import strandline
from strandline.spec import (
    Category,
    CountsSpec,
    Cross,
    FtrlSpec,
    Label,
    Limits,
    Number,
    SklearnSpec,
    Weight,
)
from strandline.spec.estimators import ESTIMATORS

PAGE = (Path(__file__).parents[3] / "docs" / "spec.md").read_text("utf-8")
SECTIONS = dict(re.findall(r"^### `(\w+)`\n(.*?)(?=^##|\Z)", PAGE, re.DOTALL | re.MULTILINE))
WRITTEN_OUT = "path", "features", "merge"  # defaults that the rest of the spec decides
KINDS: dict[str, type[msgspec.Struct]] = {
    "label": Label,
    "weight": Weight,
    "limits": Limits,
    "number": Number,
    "category": Category,
    "cross": Cross,
    "ftrl": FtrlSpec,
    "counts": CountsSpec,
    "sklearn": SklearnSpec,
}


def shown(field: Any) -> str:
    if field.required:
        return "required"
    return "none" if field.default is None else f"`{json.dumps(field.default)}`"


@pytest.mark.parametrize("name", KINDS)
def test_every_setting_is_listed_with_its_default(name: str) -> None:
    listed = dict(re.findall(r"^\| `(\w+)` \| (.+?) \|", SECTIONS[name], re.MULTILINE))
    fields = msgspec.structs.fields(KINDS[name])
    assert set(listed) == {field.encode_name for field in fields}
    wrong = {
        field.encode_name: listed[field.encode_name]
        for field in fields
        if listed[field.encode_name] != shown(field)
        and not (field.required and field.encode_name in WRITTEN_OUT)
    }
    assert not wrong


def test_every_section_is_of_a_part_of_the_spec() -> None:
    assert set(SECTIONS) == set(KINDS)


def test_every_estimator_is_listed_with_its_settings() -> None:
    rows = dict(re.findall(r"^\| `([A-Z]\w+)` \| (.+) \|$", PAGE, re.MULTILINE))
    expected = {
        str(kind.__struct_config__.tag): ", ".join(
            f"`{field.encode_name} = {json.dumps(field.default)}`"
            for field in msgspec.structs.fields(kind)
        )
        for kind in ESTIMATORS
    }
    assert rows == expected


def test_the_example_is_a_spec() -> None:
    (text,) = re.findall(r"```toml\n(.*?)```", PAGE, re.DOTALL)
    assert strandline.Spec.parse(text).name == "rides"
