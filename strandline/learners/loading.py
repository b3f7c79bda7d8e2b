"""From a spec to its learners and their parameters."""

from collections.abc import Mapping
from typing import Final

import numpy as np
from msgspec import structs

from strandline.errors import SpecError
from strandline.features import BIAS_FIELD, Batch, Decoder
from strandline.learners.base import Learner, Remembering
from strandline.learners.counts import Counts
from strandline.learners.decayed_counts import DecayedCounts
from strandline.learners.ftrl import Ftrl
from strandline.learners.sklearn_learner import SklearnLearner
from strandline.merge import ONE_STREAM, OPERATIONS, WorkerChange, check_merged, merge_table
from strandline.metrics.scoring import prequential_sums
from strandline.spec import CountsSpec, FtrlSpec, LearnerSpec, PluginSpec, SklearnSpec, Spec
from strandline.tables.changes import Changes
from strandline.tables.shards import WHOLE, Shard, shard_table
from strandline.tables.table import (
    Parameters,
    TableSchema,
    apply_changes,
    empty_table,
    fetch_and_apply,
)


def make_learners(spec: Spec, *, alone: bool = False) -> dict[str, Learner]:
    """Return the spec's learners by name, bound to nothing.

    Parameters
    ----------
    spec
        Names the learners and their settings.
    alone
        Whether they are of a job's only worker. Then no row has two workers, and rule `matched`
        would take every row as `sum` does (decision 3): `ftrl` learns under `sum`, and keeps none
        of the sums that `matched` needs.

    Raises
    ------
    SpecError
        If a learner of another package names tables that cannot be merged as it says.
    EnvironmentUnfit
        If a learner's package is not installed.

    Examples
    --------
    >>> spec = Spec.parse('''
    ... name = "tiny"
    ... label.path = "click"
    ... features.item.kind = "category"
    ... learners.ctr.type = "ftrl"
    ... ''')
    >>> make_learners(spec)["ctr"].tables[0].name
    'ctr.zn'
    """
    fields = {name: index for index, name in enumerate(spec.features)}
    learners = {
        name: structs.replace(settings, merge="sum")
        if alone and isinstance(settings, FtrlSpec) and settings.merge == "matched"
        else settings
        for name, settings in spec.learners.items()
    }
    made = {name: _make(name, settings, fields, spec) for name, settings in learners.items()}
    for name, learner in made.items():
        _check(name, learner)
    return made


def schemas_of(learners: Mapping[str, Learner]) -> dict[str, TableSchema]:
    """Return the schema of every table of the learners, by table name."""
    return {schema.name: schema for learner in learners.values() for schema in learner.tables}


def empty_parameters(learners: Mapping[str, Learner], shard: Shard = WHOLE) -> Parameters:
    """Return the parameters of version 0: every table, and no rows; room for those of the shard."""
    return {name: shard_table(schema, shard) for name, schema in schemas_of(learners).items()}


def not_remembered(learners: Mapping[str, Learner]) -> frozenset[str]:
    """Return the tables of learners whose deltas do not say what rows were before."""
    return frozenset(
        schema.name
        for learner in learners.values()
        if not isinstance(learner, Remembering)
        for schema in learner.tables
    )


def one_stream_tables(learners: Mapping[str, Learner]) -> tuple[str, ...]:
    """Return the tables whose rules do not commute: they take no second stream."""
    return tuple(
        sorted(
            name
            for learner in learners.values()
            for name, rule in learner.rules.items()
            if rule in ONE_STREAM
        )
    )


_SMALLEST: Final = Spec.parse("""
name = "smallest"
label.path = "label"
features.any = { kind = "number", transform = "log1p" }
learners.ctr.type = "ftrl"
""")


def warm_up() -> None:
    """Compile every kernel, or load its code from where it is kept: no first event waits then.

    Kernels take arrays of one type whatever a batch's are, so one event stands for all.
    """
    Decoder(_SMALLEST).decode([b'{"label":1}', b'{"label":1,"any":1e-99}'])  # by both decoders
    prequential_sums(_BATCH.labels, _BATCH.labels, _BATCH.weights)
    learners = _smallest_learners()
    for learner in learners.values():
        _go_through(learner, empty_parameters({"": learner}))


def prepare_to_predict(learners: Mapping[str, Learner], *, following: bool = False) -> None:
    """Compile the kernels that predicting with such learners needs, and taking up versions."""
    if any(isinstance(learner, Ftrl) for learner in learners.values()):
        ftrl = _smallest_learners()["ftrl"]
        ftrl.bind(empty_parameters({"ftrl": ftrl}))
        ftrl.predict(_BATCH)
    for schema in schemas_of(learners).values() if following else ():
        small = structs.replace(schema, row_count=schema.row_count and 1)
        rows, values = np.zeros(1, schema.row_dtype), np.zeros((1, schema.width), schema.dtype)
        parameters = {schema.name: empty_table(small)}
        apply_changes(parameters, [{schema.name: Changes(rows, values)}])
        parameters[schema.name].gather(rows)


_BATCH: Final = Batch(
    keys=np.zeros(2, np.uint64),
    fields=np.array([0, BIAS_FIELD], np.uint16),
    values=np.ones(2, np.float32),
    starts=np.array([0, 2], np.int64),
    labels=np.ones(1, np.float32),
    weights=np.ones(1, np.float32),
)


def _smallest_learners() -> dict[str, Learner]:
    return {
        "ftrl": Ftrl("ftrl", FtrlSpec(features=("any",), bits=1), [0]),
        "counts": Counts("counts", CountsSpec(feature="any"), 0),
        "decayed": DecayedCounts("decayed", CountsSpec(feature="any", half_life_s=1), 0),
    }


def _go_through(learner: Learner, parameters: Parameters) -> None:
    """Do everything once that a learner, a merger and a reader do."""
    learner.bind(parameters)
    learner.learn(_BATCH)
    learner.predict(_BATCH)
    for name, delta in learner.take_delta().items():
        table = parameters[name]
        parts = [WorkerChange(worker, 1, delta) for worker in range(2)]
        change = merge_table(learner, table.schema, table, parts, events=2)
        check_merged(table.schema, learner.rules[name], change, fetch_and_apply(table, change))
        apply_changes(parameters, [{name: change}])
        table.assign(delta.rows, table.gather(delta.rows))


def _check(name: str, learner: Learner) -> None:
    """Refuse a learner of another package whose tables cannot be merged as they say."""
    for schema in learner.tables:
        rule = learner.rules.get(schema.name)
        if not schema.name.startswith(f"{name}.") or OPERATIONS.get(str(rule)) != schema.operation:
            raise SpecError(
                f"learners.{name}: its table {schema.name} has operation {schema.operation!r} and"
                f" rule {rule!r}, expected a name that begins with {name}. and one of the rules"
                f" {[r for r, operation in OPERATIONS.items() if operation == schema.operation]}:"
                " this is a fault of the learner's package"
            )


def _make(name: str, settings: LearnerSpec, fields: Mapping[str, int], spec: Spec) -> Learner:
    match settings:
        case FtrlSpec():
            return Ftrl(name, settings, [fields[feature] for feature in settings.features])
        case CountsSpec():
            counts = Counts if settings.half_life_s is None else DecayedCounts
            return counts(name, settings, fields[settings.feature])
        case SklearnSpec():
            return SklearnLearner(
                name, settings, [fields[feature] for feature in settings.features]
            )
        case PluginSpec():
            return settings.make(name, spec)
