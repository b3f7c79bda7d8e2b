"""`Decoder`: from the bytes of events to a batch, and to a reason for each that is rejected."""

from collections.abc import Sequence
from typing import Any, Final

import numpy as np
from numpy.typing import NDArray

from strandline.events.records import Records
from strandline.features.batch import Batch
from strandline.features.kernel import decode_rows
from strandline.features.layout import Scratch
from strandline.features.plain_decoder import PlainDecoder
from strandline.features.plan import make_plan
from strandline.features.rejection import Rejection
from strandline.features.weaving import weave_batches
from strandline.kernels.compiling import is_at_hand
from strandline.kernels.memory import PADDING, address_of
from strandline.spec import Spec

_ENTRIES_GUESSED_MAX: Final = 1 << 22  # one event of many entries says little of the next ones


class Decoder:
    """Turn events into a `Batch`, as a spec describes them.

    A kernel reads each event that it can read exactly as `PlainDecoder` does; the others, which
    it never guesses at, go to that one. What an event becomes depends on its own bytes only, never
    on its neighbours in the call or on calls before. Several threads may share a decoder.

    Examples
    --------
    >>> spec = Spec.parse('''
    ... name = "tiny"
    ... label.path = "click"
    ... features.item.kind = "category"
    ... learners.ctr.type = "ftrl"
    ... ''')
    >>> batch, rejected = Decoder(spec).decode([b'{"click": 1, "item": "a"}', b'{"click": 2}'])
    >>> batch.rows, batch.entries, batch.labels
    (1, 2, array([1.], dtype=float32))
    >>> rejected
    [Rejection(index=1, reason='bad_label', detail='click: expected 0 or 1, got 2.0', path='click')]
    """

    def __init__(self, spec: Spec) -> None:
        self._plain = PlainDecoder(spec)
        self._plans = {labelled: make_plan(spec, labelled=labelled) for labelled in (True, False)}
        self._entries_per_row = len(spec.features) + 1  # of the last batch: how much room to make
        self._entries_max = spec.limits.entries + 1
        self._free: dict[bool, list[Scratch]] = {True: [], False: []}

    @property
    def is_compiled(self) -> bool:
        """Whether the kernel is in this process, and ready."""
        return bool(decode_rows.overloads)

    def load(self) -> bool:
        """Load the kernel if its code is kept, without compiling it; whether it was."""
        records, scratch = Records.of([]), Scratch(self._plans[False])
        columns = _Columns(0, 1)
        return self.is_compiled or is_at_hand(
            decode_rows, 0, 0, 0, records.begins, records.lengths, 0, 0,
            scratch.address, scratch.values, scratch.logs,
            columns.address, columns.starts, np.empty(0, np.bool_),
        )  # fmt: skip

    def decode(
        self, records: Sequence[bytes | None], *, labelled: bool = True
    ) -> tuple[Batch, list[Rejection]]:
        """Decode records, in order: those that the spec admits, and the others with the reason.

        Parameters
        ----------
        records : sequence of bytes or None
            One JSON object each; None is a record without a value. `Records` are not copied.
        labelled : bool
            False (for predictions): label and weight are not read; labels are 0, weights 1.

        Returns
        -------
        batch, rejections
            ``batch.rows + len(rejections) == len(records)``; rejections by ascending index.
        """
        return self.decode_counted(records, labelled=labelled)[:2]

    def decode_counted(
        self, records: Sequence[bytes | None], *, labelled: bool = True
    ) -> tuple[Batch, list[Rejection], int]:
        """Decode as `decode` does; also return how many records went to the plain decoder."""
        records = Records.of(records)
        batch, left = self._scan(records, labelled)
        rows = np.flatnonzero(left)
        if not len(rows):
            return batch, [], 0
        values = [records[row] for row in rows.tolist()]
        plain, found = self._plain.decode(values, labelled=labelled)
        rejections = [fault._replace(index=int(rows[fault.index])) for fault in found]
        refused = np.zeros(len(rows), np.bool_)
        refused[[fault.index for fault in found]] = True
        return weave_batches(batch, rows, plain, refused), rejections, len(rows)

    def _scan(self, records: Records, labelled: bool) -> tuple[Batch, NDArray[np.bool_]]:
        """Return a batch with an empty row for each record that the kernel leaves."""
        free = self._free[labelled]
        try:
            scratch = free.pop()
        except IndexError:  # all are in the hands of other threads
            scratch = Scratch(self._plans[labelled])
        try:
            return self._run(records, scratch)
        finally:
            free.append(scratch)

    def _run(self, records: Records, scratch: Scratch) -> tuple[Batch, NDArray[np.bool_]]:
        rows = len(records)
        guess = min(rows * self._entries_per_row, _ENTRIES_GUESSED_MAX)
        columns = _Columns(rows, guess + self._entries_max)
        left = np.empty(rows, np.bool_)
        data, begins, lengths = records.data, records.begins, records.lengths
        ends = begins + np.maximum(lengths, 0)
        assert not rows or (begins[0] >= 0 and ends[-1] <= len(data)), "records are not in data"
        in_order = (begins[1:] >= begins[:-1]) & (ends[1:] >= ends[:-1])
        assert bool(in_order.all()), "records are not in the order of their bytes"
        # What stands at the buffer's end is read from a copy that has bytes behind it.
        split = int(np.searchsorted(ends, len(data) - PADDING, "right"))
        first = int(begins[split]) if split < rows else len(data)
        copy = np.zeros(len(data) - first + PADDING, np.uint8)
        copy[: len(data) - first] = data[first:]
        row = 0
        while True:
            row = decode_rows(
                address_of(data), split, address_of(copy) - first, begins, lengths, row, rows,
                scratch.address, scratch.values, scratch.logs,
                columns.address, columns.starts, left,
            )  # fmt: skip
            if row == rows:
                break
            columns.grow(int(columns.starts[row]) + self._entries_max)
        batch = columns.batch()
        if rows:
            self._entries_per_row = batch.entries // rows + 1
        return batch, left


class _Columns:
    """A batch in the making."""

    def __init__(self, rows: int, entries: int) -> None:
        self.starts = np.zeros(rows + 1, np.int64)
        self._labels = np.empty(rows, np.float32)
        self._weights = np.empty(rows, np.float32)
        self._keys = np.empty(entries, np.uint64)
        self._fields = np.empty(entries, np.uint16)
        self._values = np.empty(entries, np.float32)
        self._place()

    def grow(self, entries: int) -> None:
        """Make room for this many entries at least."""
        room = max(entries, 2 * len(self._keys))
        for name in ("_keys", "_fields", "_values"):
            old = getattr(self, name)
            new = np.empty(room, old.dtype)
            new[: len(old)] = old
            setattr(self, name, new)
        self._place()

    def _place(self) -> None:
        arrays: tuple[NDArray[Any], ...] = (
            self._keys,
            self._fields,
            self._values,
            self._labels,
            self._weights,
        )
        places = [*(address_of(array) for array in arrays), len(self._keys)]
        self._places = np.array(places, np.int64)  # in the order of `layout.BATCH`
        self.address = address_of(self._places)

    def batch(self) -> Batch:
        """Return what was written."""
        entries = int(self.starts[-1])
        return Batch(
            self._keys[:entries],
            self._fields[:entries],
            self._values[:entries],
            self.starts,
            self._labels,
            self._weights,
        )
