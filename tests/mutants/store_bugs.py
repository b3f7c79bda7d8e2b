"""Bugs of files, packing, history, garbage and bases."""

from typing import Final

from tests.mutants.mutant import Mutant

PUBLISH: Final = "strandline/store/publish.py"
PACKING: Final = "strandline/store/packing.py"
POSIX: Final = "strandline/store/posix.py"
GARBAGE: Final = "strandline/upkeep/garbage.py"
COMPACTOR: Final = "strandline/upkeep/compactor.py"
RETENTION: Final = "strandline/upkeep/retention.py"
BASE: Final = "strandline/parameters/base.py"

STORE_TESTS: Final = "tests/conformance/test_stores.py::test_store"
POWER_TESTS: Final = "tests/unit/store/test_power_loss.py::"
PACKING_TESTS: Final = "tests/unit/store/test_packing.py::"
POSIX_TESTS: Final = "tests/unit/store/test_posix.py::"
HISTORY_TESTS: Final = "tests/unit/store/test_history.py::"
BASE_TESTS: Final = "tests/unit/parameters/test_base.py::"

STORE_BUGS: Final = (
    Mutant(
        "altered bits of a file go unnoticed",
        POSIX,
        "check_digest(data, sha256, str(path))",
        "pass",
        (STORE_TESTS,),
    ),
    Mutant(
        "a file has its name before its bytes are durable",
        PUBLISH,
        "write_all(descriptor, data)\n        os.fsync(descriptor)\n        created",
        "write_all(descriptor, data)\n        created",
        (POWER_TESTS + "test_power_is_lost_before_a_step_of_a_commit",),
    ),
    Mutant(
        "a version counts before its name is durable",
        PUBLISH,
        "        if created:\n            fsync_folder(path.parent)\n        return created",
        "        return created",
        (POWER_TESTS + "test_power_is_lost_before_a_step_of_a_commit",),
    ),
    Mutant(
        "a version that another writer made counts before its name is durable",
        PUBLISH,
        "    if not created:\n        fsync_folder(path.parent)\n",
        "",
        (POWER_TESTS + "test_power_is_lost_after_the_retry_of_a_commit_that_died",),
    ),
    Mutant(
        "of two writers the later one overwrites the version of the earlier one",
        PUBLISH,
        "os.link(temporary, path)\n",
        "os.rename(temporary, path)\n",
        (POSIX_TESTS + "test_no_rename_in_the_store",),
    ),
    Mutant(
        "a file that a dead attempt staged is used before it is durable",
        POSIX,
        "with opened(path) as descriptor:\n            os.fsync(descriptor)",
        "pass",
        (POSIX_TESTS + "test_a_file_staged_by_a_dead_attempt_is_made_durable",),
    ),
    Mutant(
        "an fsync that failed is repeated on the same file and believed",
        PUBLISH,
        "        write_all(descriptor, data)\n        os.fsync(descriptor)\n        created",
        "        write_all(descriptor, data)\n        try:\n            os.fsync(descriptor)\n"
        "        except OSError:\n            os.fsync(descriptor)\n        created",
        (POSIX_TESTS + "test_an_fsync_that_failed_is_never_repeated_on_its_file",),
    ),
    Mutant(
        "a folder of versions is replaced by a segment that nobody has read back",
        PACKING,
        "verify(temporary)  # soon it is the only copy",
        "pass",
        (
            PACKING_TESTS
            + "test_a_segment_that_does_not_hold_what_it_should_takes_no_folders_place",
        ),
    ),
    Mutant(
        "a writer that sleeps through packing creates its number again",
        PACKING,
        "for name in sorted(os.listdir(folder), key=_temporary_first):",
        "for name in sorted(os.listdir(folder), reverse=True):",
        (PACKING_TESTS + "test_the_steps_in_order",),
    ),
    Mutant(
        "versions that do not follow are packed",
        POSIX,
        "verify_links(self, packed.start, packed.stop)",
        "pass",
        (PACKING_TESTS + "test_a_damaged_line_is_not_packed",),
    ),
    Mutant(
        "history is dropped before its record is durable",
        POSIX,
        "publish(path, record)\n            dropped = self._versions.drop(version)",
        "dropped = self._versions.drop(version)\n            publish(path, record)",
        (HISTORY_TESTS + "test_dropping_dies_before_a_step",),
    ),
    Mutant(
        "history is dropped that the oldest version needs",
        RETENTION,
        "newest = min(oldest, store.head() - (kept.versions or 0))",
        "newest = store.head() - (kept.versions or 0)",
        (HISTORY_TESTS + "test_what_is_not_packed_or_has_no_base_above_it_stays",),
    ),
    Mutant(
        "files of a commit in doubt are collected",
        GARBAGE,
        "return entry is not None and (entry.run != origin.run or _is_past(entry, origin.before))",
        "return True",
        (STORE_TESTS,),
    ),
    Mutant(
        "rejected events are collected as soon as one stream is past them",
        GARBAGE,
        "return all(_is_past(entry, first) for entry in streams.values())",
        "return any(_is_past(entry, first) for entry in streams.values())",
        (STORE_TESTS,),
    ),
    Mutant(
        "data is removed because of a base that is damaged",
        COMPACTOR,
        "                read_base(self._store, version, self._learners)\n",
        "                pass\n",
        (BASE_TESTS + "test_data_stays_while_the_base_that_covers_it_is_damaged",),
    ),
    Mutant(
        "data is removed because of a head that is not durable",
        GARBAGE,
        "    store.append(version, manifest_bytes(store, version))\n",
        "",
        (POWER_TESTS + "test_power_is_lost_after_a_collector_took_a_dead_commit_for_head",),
    ),
    Mutant(
        "a base is written with changes that failed half-way applied twice",
        COMPACTOR,
        "self._at = at  # what fails later is not applied again",
        "pass",
        (BASE_TESTS + "test_a_compactor_that_met_a_failure_half_way_applies_no_version_twice",),
    ),
    Mutant(
        "a base outlasts a version that was never durable",
        COMPACTOR,
        "self._store.append(version, manifest)",
        "pass",
        (
            "tests/simulation/test_simulation.py"
            "::test_a_base_does_not_outlast_a_version_whose_writer_died",
        ),
    ),
    Mutant(
        "a base of another line of versions is believed",
        BASE,
        'if metadata["version"] != str(version) or metadata["manifest"] != manifest:',
        "if False:",
        (BASE_TESTS + "test_a_base_of_another_line_of_versions_is_passed_over",),
    ),
    Mutant(
        "altered bytes of a base go unnoticed",
        BASE,
        'if metadata["digest"] != _digest(tensors):',
        "if False:",
        (BASE_TESTS + "test_a_damaged_base_is_passed_over_with_a_warning",),
    ),
)
