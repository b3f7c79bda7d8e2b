"""Bugs of workers, mergers and readers."""

from typing import Final

from tests.mutants.mutant import Mutant

WORKER: Final = "strandline/learning/worker.py"
MERGER: Final = "strandline/learning/merger.py"
REPLICA: Final = "strandline/learning/replica.py"
ATTEMPT: Final = "strandline/learning/attempt.py"
READER: Final = "strandline/reading/reader.py"

WORKER_TESTS: Final = "tests/unit/learning/test_worker.py::"
MERGER_TESTS: Final = "tests/unit/learning/test_merger.py::"
REPLICA_TESTS: Final = "tests/unit/learning/test_replica.py::"
RELEARN_TESTS: Final = "tests/unit/learning/test_relearning.py::"
READER_TESTS: Final = "tests/unit/reading/test_reader.py::"
WRITER_TESTS: Final = "tests/unit/transactions/test_transaction.py::"

LEARNING_BUGS: Final = (
    Mutant(
        "a worker forgets its own events between publishing and adopting",
        REPLICA,
        "                self._push_again([own for own in kept if own.key not in gone])\n",
        "",
        (WORKER_TESTS + "test_head_is_another_jobs_version_that_names_none_of_my_workers",),
    ),
    Mutant(
        "a worker's own events count twice: a version that has them leaves them pending",
        REPLICA,
        "self.pending = [own for own in self.pending if own.key not in gone]",
        "pass",
        (REPLICA_TESTS + "test_local_has_the_bits_of_a_full_rebuild",),
    ),
    Mutant(
        "another worker's change is taken for the own one of the same number",
        REPLICA,
        "if not (in_order and _are_same(files, oldest)):",
        "if not in_order:",
        (REPLICA_TESTS + "test_local_has_the_bits_of_a_full_rebuild",),
    ),
    Mutant(
        "a worker that starts again repeats numbers that versions name",
        WORKER,
        "self._seq = self._newest_seq(manifest)",
        "self._seq = 0",
        (WORKER_TESTS + "test_a_restarted_worker_goes_on_from_the_seq_that_the_version_names",),
    ),
    Mutant(
        "a worker takes another run's numbers for its own",
        WORKER,
        "return entry is not None and entry.run == self._run and self._newest_seq(manifest) >= seq",
        "return entry is not None and self._newest_seq(manifest) >= seq",
        (WORKER_TESTS + "test_a_superseded_run_does_not_take_anothers_seqs_for_its_own",),
    ),
    Mutant(
        "a worker stops while the store does not answer",
        WORKER,
        "except StoreUnavailable as error:\n            _log.warning(",
        "except ZeroDivisionError as error:\n            _log.warning(",
        (WORKER_TESTS + "test_a_worker_learns_on_while_the_store_does_not_answer",),
    ),
    Mutant(
        "the order in which deltas arrive decides bits",
        MERGER,
        "for delta in sorted(self._waiting[worker], key=lambda delta: delta.seq)",
        "for delta in self._waiting[worker]",
        (MERGER_TESTS + "test_two_deltas_of_one_worker_are_composed_by_seq_however_they_arrive",),
    ),
    Mutant(
        "a number that is not finite is published",
        ATTEMPT,
        "if not delta.finite:",
        "if False:",
        (RELEARN_TESTS + "test_a_learner_of_another_package_fails_on_some_events",),
    ),
    Mutant(
        "one event costs a whole epoch",
        WORKER,
        "left_out = find_unlearnable(attempt.epoch.in_batches(), self._learn_on_top)",
        "left_out = {(p.partition, at): '' for p in attempt.epoch.parts for at in p.offsets}",
        (RELEARN_TESTS + "test_a_learner_of_another_package_fails_on_some_events",),
    ),
    Mutant(
        "a reader changes tables that somebody still predicts with",
        READER,
        "free = self._spare_model is not None and self._spare_model() is None",
        "free = self._spare_model is not None",
        (READER_TESTS + "test_a_model_that_is_held_stays_at_its_version",),
    ),
    Mutant(
        "a reader skips a version",
        READER,
        "            apply_changes(self._spare, self._missed)\n",
        "",
        (READER_TESTS + "test_beside_a_writer_no_gap_no_step_back_and_scores_agree",),
    ),
    Mutant(
        "too many rejected events do not end a run",
        WORKER,
        "if self._keeps_watch and seen.too_many(self._rejected_share_max):",
        "if False:",
        (WORKER_TESTS + "test_too_many_rejected_events_end_the_run",),
    ),
    Mutant(
        "a rolled back transaction leaves what it learned",
        WORKER,
        "        self._attempt.undo(self._attempt.close())\n        self._state.drop",
        "        self._state.drop",
        (WRITER_TESTS + "test_a_rolled_back_transaction_leaves_no_trace_in_what_follows",),
    ),
)
