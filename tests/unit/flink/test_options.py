"""The arguments of a run: one definition, two command lines."""

import inspect
from dataclasses import fields
from typing import Any

import pytest

from strandline.commit.submission import made_since
from strandline.errors import StrandlineError, WrongUsage
from strandline_flink.job.options import JobOptions
from strandline_flink.launch import run_command

NEEDED = {"spec": "s.toml", "bootstrap": "b:9092", "topic": "t", "store": "st"}


def options(**changed: Any) -> JobOptions:
    return JobOptions(**(NEEDED | changed))


@pytest.mark.parametrize(
    "changed",
    [
        {},
        {"bounded": True, "takeover": True, "topic_again": True, "parallelism": 3, "shards": 2},
        {"start": "2026-01-02T03:04:05+01:00", "kafka_config": "a b.properties"},
        {"topic": "-dash", "stream": "other", "checkpoint": "2s"},
        {"flink": "jobmanager:8081", "python": "/opt/python", "mode": "process"},
    ],
)
def test_arguments_survive_the_command_line(changed: dict[str, Any]) -> None:
    before = options(**changed)
    assert JobOptions.from_args(before.to_args()) == before


def test_run_and_train_take_the_same_options_with_the_same_defaults() -> None:
    taken = {
        name: each.default
        for name, each in inspect.signature(run_command.command).parameters.items()
        if name != "json"
    }
    assert list(taken) == [each.name for each in fields(JobOptions)]
    for each in fields(JobOptions):
        if isinstance(each.default, str | int):
            assert taken[each.name] == each.default, each.name


def test_each_submission_has_its_own_identity() -> None:
    one, two = options().submitted(7), options().submitted(7)
    assert one.submission != two.submission
    assert made_since(one.submission) == 7
    assert one.submitted(8) == one
    assert JobOptions.from_args(one.to_args()) == one


@pytest.mark.parametrize(
    ("changed", "named"),
    [
        ({"stream": "No Spaces"}, "--stream"),
        ({"stream": "events\n"}, "--stream"),
        ({"parallelism": 0}, "--parallelism"),
        ({"shards": 0}, "--shards"),
        ({"shards": 129}, "--shards"),
        ({"checkpoint": "10ms"}, "--checkpoint"),
        ({"checkpoint": "soon"}, "--checkpoint"),
        ({"start": "yesterday"}, "--from"),
        ({"submission": "x"}, "--submission"),
        ({"mode": "both"}, "--mode"),
        ({"flink": "http://jobmanager:8081"}, "--flink"),
        ({"flink": "jobmanager"}, "--flink"),
        ({"python": "/usr/bin/python3"}, "--python"),
    ],
)
def test_value_out_of_range_names_its_option(changed: dict[str, Any], named: str) -> None:
    with pytest.raises(WrongUsage, match=named):
        options(**changed)


@pytest.mark.parametrize(
    "store", ["s3://bucket/key", "gs:b", "memory:", "", "a\0b", "~nobody-here/x"]
)
def test_a_store_that_is_no_folder_is_refused_before_a_path_is_made_of_it(store: str) -> None:
    with pytest.raises(StrandlineError, match="folder"):
        options(store=store)
