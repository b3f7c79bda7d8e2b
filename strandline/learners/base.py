"""What a learner is."""

from collections.abc import Mapping
from typing import Literal, Protocol, runtime_checkable

import numpy as np
from numpy.typing import NDArray

from strandline.features import Batch
from strandline.spec import Predicts
from strandline.tables.changes import TableDelta
from strandline.tables.table import Parameters, TableSchema


class Learner(Protocol):
    """An algorithm that learns event by event, in order, and tells what it learned in an epoch.

    A learner is a pure function of the parameters it is bound to and the events it is given: how
    the events are split into batches changes no bit. It refuses nothing: whether a delta is
    finite is the worker's to ask (`TableDelta.finite`).
    """

    @property
    def tables(self) -> tuple[TableSchema, ...]:
        """The tables it learns in; names begin with the learner's name and a dot."""

    @property
    def rules(self) -> Mapping[str, str]:
        """Merge rule by table name."""

    @property
    def predicts(self) -> Predicts | None:
        """What a prediction is: a probability, a class (0 or 1), a number, or None: there is none.

        Probabilities are scored by log-loss, all predictions by squared error.
        """

    def bind(self, parameters: Parameters) -> None:
        """Take the tables to read, and to update in place, and begin a new epoch.

        What was learned since the last `take_delta` is forgotten, not undone. Costs what the
        forgotten epoch touched. Bind again after rows of a table were changed from outside.
        """

    def learn(self, batch: Batch) -> NDArray[np.float32] | None:
        """Learn the batch's events in order, each one whole before the next.

        The first batch after a worker's start has no events: what the learner makes ready for
        learning no event need wait for.

        Returns
        -------
        NDArray or None
            Per event the prediction made before it was learned; probabilities in [0, 1] and
            unclipped (sums over them clip, see `strandline.metrics.scoring`). None if the
            learner does not predict.
        """

    def predict(self, batch: Batch) -> NDArray[np.float32] | None:
        """Return the prediction of each event, as `learn` would; changes nothing.

        Threads may call it at once, as long as none learns or binds.
        """

    def take_delta(self) -> dict[str, TableDelta]:
        """Return what was learned since the epoch began, by table, and begin a new epoch.

        Every table is named, also one without changes. Costs what the epoch touched. A learner
        that gathers events into mini-batches learns the last, shorter one here, and changes its
        tables once more.
        """


@runtime_checkable
class Remembering(Protocol):
    """A learner whose deltas say what the rows were `before`: it spares the worker a copy.

    Of the tables of other learners a worker holds two copies, as published and as learned.

    After `take_delta` the rows that the delta names are `before`, changed by the delta in the
    table's type: exactly what all others will have who apply it. What learning itself left there
    may differ in the last bit (z + (z' - z) is not always z'), so the learner writes them anew.
    """

    @property
    def remembers(self) -> Literal[True]:
        """That `TableDelta.before` is set, of every table, and the rows are as the delta says."""
