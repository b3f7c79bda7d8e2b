"""Bugs of commit, open, and what follows from what."""

from typing import Final

from tests.mutants.mutant import Mutant

COMMITTING: Final = "strandline/commit/committing.py"
OPENING: Final = "strandline/commit/opening.py"
OPEN_LIST: Final = "strandline/commit/open_list.py"
AGENT: Final = "strandline/commit/agent_calls.py"
CONTINUITY: Final = "strandline/manifest/continuity.py"
CHAIN: Final = "strandline/store/chain.py"

AGENT_TESTS: Final = "tests/unit/commit/test_agent_calls.py::"
COMMIT_TESTS: Final = "tests/unit/commit/test_commit.py::"
OPEN_TESTS: Final = "tests/unit/commit/test_opening.py::"
FOLLOWS_TESTS: Final = "tests/unit/manifest/test_continuity.py::"
TRUST_TESTS: Final = "tests/unit/test_trust.py::"
POWER_TESTS: Final = "tests/unit/store/test_power_loss.py::"
HISTORY_TESTS: Final = "tests/unit/store/test_history.py::"

COMMIT_BUGS: Final = (
    Mutant(
        "a run that was superseded commits",
        COMMITTING,
        "if entry is None or entry.run != committable.run:",
        "if entry is None:",
        (COMMIT_TESTS + "test_overtaken_by_a_newer_open_it_is_superseded",),
    ),
    Mutant(
        "events count twice: a commit does not ask whether head is past its events",
        COMMITTING,
        "if not ahead and not behind:\n        return _create(parent, parent_bytes",
        "if not behind:\n        return _create(parent, parent_bytes",
        (COMMIT_TESTS + "test_overtaken_by_a_rival_it_is_refused",),
    ),
    Mutant(
        "events are lost: a commit that begins after head's positions is made",
        COMMITTING,
        "behind = any(offset > here.get(partition, -1) for partition, offset in there.items())",
        "behind = False",
        (COMMIT_TESTS + "test_decides",),
    ),
    Mutant(
        "a commit that was made before is not recognised",
        COMMITTING,
        "if manifest.committable == committable.identity:",
        "if manifest.committable is None:",
        (COMMIT_TESTS + "test_overtaken_by_its_own_zombie_it_is_mine",),
    ),
    Mutant(
        "a commit that was made before counts before it is durable",
        COMMITTING,
        "store.append(decision.version, manifest_bytes(store, decision.version))\n"
        "            return Committed(decision.version, mine=True)",
        "return Committed(decision.version, mine=True)",
        (POWER_TESTS + "test_power_is_lost_after_the_retry_of_a_commit_that_died",),
    ),
    Mutant(
        "a version names files that are lost",
        COMMITTING,
        "lost, files_checked = _lost(store, wanted, lengths_only), True",
        "lost, files_checked = None, True",
        (COMMIT_TESTS + "test_a_file_lost_between_prepare_and_commit_is_named",),
    ),
    Mutant(
        "a commit builds on a head that does not follow from its parent",
        COMMITTING,
        "head = store.head(head)\n        read_verified(store, head)",
        "head = store.head(head)",
        (COMMIT_TESTS + "test_a_commit_builds_on_no_head_that_does_not_follow_from_its_parent",),
    ),
    Mutant(
        "a commit makes a version that nobody will read",
        COMMITTING,
        "return _sound(parent, parent_bytes, version, manifest)",
        "return Create(version, manifest)",
        (COMMIT_TESTS + "test_a_commit_that_nobody_would_build_on_is_refused",),
    ),
    Mutant(
        "a commit older than the kept history makes its events a version again",
        COMMITTING,
        "return _unknown(committable, error)",
        "return _create(parent, parent_bytes, entry, committable)",
        (HISTORY_TESTS + "test_a_commit_that_is_older_than_history_is_refused_and_says_so",),
    ),
    Mutant(
        "a start that was superseded believes that it holds the stream",
        OPENING,
        "return found if found.in_force else superseded(",
        "return found if True else superseded(",
        (OPEN_TESTS + "test_a_superseded_start_repeated_ends",),
    ),
    Mutant(
        "a start begins where its source says and not where the store stands",
        OPENING,
        "positions=wanted.positions | known,",
        "positions=known | wanted.positions,",
        (OPEN_TESTS + "test_a_start_that_lost_the_race_to_a_commit_goes_on_from_it",),
    ),
    Mutant(
        "a savepoint is restored that does not stand where the store stands",
        OPENING,
        "if not ahead and not behind:\n        return None",
        "if ahead or behind or True:\n        return None",
        (OPEN_TESTS + "test_decides",),
    ),
    Mutant(
        "a topic counts twice under two streams",
        OPENING,
        'if stream in streams or not readers or "topic_id" not in source:',
        "if True:",
        (OPEN_TESTS + "test_the_same_topic_under_two_streams_is_refused_without_the_flag",),
    ),
    Mutant(
        "a second stream feeds a table whose rule does not commute",
        OPENING,
        "if not others or not one_stream:",
        "if True:",
        (OPEN_TESTS + "test_a_table_that_does_not_commute_takes_no_second_stream",),
    ),
    Mutant(
        "a start goes on with the positions of another source",
        OPENING,
        "check_same_source(store, wanted.stream, wanted.source, head)",
        "pass",
        (OPEN_TESTS + "test_a_start_that_lost_the_race_to_one_of_another_source_is_refused",),
    ),
    Mutant(
        "starts that commit something count as rivals",
        OPEN_LIST,
        "return known != before.positions or after.seqs != before.seqs",
        "return False",
        (OPEN_TESTS + "test_supervisors_that_fence_each_other_are_stopped",),
    ),
    Mutant(
        "files that an earlier life prepared are committed by their length alone",
        AGENT,
        "return self.restored is not None and (",
        "return False and (",
        (AGENT_TESTS + "test_files_that_an_earlier_life_prepared_are_read_again",),
    ),
    Mutant(
        "an idle job does not learn that another run holds the stream",
        AGENT,
        "if entry is None or entry.run != self.run:\n                raise superseded",
        "if entry is None:\n                raise superseded",
        (AGENT_TESTS + "test_an_idle_run_learns_that_another_one_holds_the_stream",),
    ),
    Mutant(
        "a version may name another parent",
        CONTINUITY,
        "if child.parent != parent_sha256:",
        "if False:",
        (FOLLOWS_TESTS + "test_a_commit_that_does_not_follow",),
    ),
    Mutant(
        "a version may be of another spec",
        CONTINUITY,
        "if child.spec != parent.spec:",
        "if False:",
        (FOLLOWS_TESTS + "test_a_commit_that_does_not_follow",),
    ),
    Mutant(
        "a version may change the entry of another stream",
        CONTINUITY,
        "if after is None or (name != child.stream and after != before):",
        "if after is None:",
        (FOLLOWS_TESTS + "test_a_commit_that_does_not_follow",),
    ),
    Mutant(
        "an open may move a stream forward",
        CONTINUITY,
        "if after.positions.get(partition) != offset:",
        "if after.positions.get(partition, -1) < offset:",
        (FOLLOWS_TESTS + "test_an_open_that_does_not_follow",),
    ),
    Mutant(
        "the spans of a version may leave events out or name them twice",
        CONTINUITY,
        "if one[2] != other[1]:",
        "if False:",
        (FOLLOWS_TESTS + "test_a_commit_that_does_not_follow",),
    ),
    Mutant(
        "the spans of a version may begin elsewhere than its parent ended",
        CONTINUITY,
        "if own[0][1] != begun[partition] or any(one[1] > one[2] for one in own):",
        "if any(one[1] > one[2] for one in own):",
        (FOLLOWS_TESTS + "test_a_commit_that_does_not_follow",),
    ),
    Mutant(
        "a worker's delta may be in two versions",
        CONTINUITY,
        "if delta.seq <= newest.get(worker, before.get(worker, 0)):",
        "if False:",
        (FOLLOWS_TESTS + "test_a_commit_that_does_not_follow",),
    ),
    Mutant(
        "a version may say something else than what was committed",
        CONTINUITY,
        "if found != child.committable:",
        "if False:",
        (FOLLOWS_TESTS + "test_a_commit_that_says_what_was_not_committed",),
    ),
    Mutant(
        "a reader serves a version that does not follow",
        CHAIN,
        "return None if data is None else _verified(store, at, version, data)",
        "return None if data is None else _verified(store, None, version, data)",
        (TRUST_TESTS + "test_nobody_builds_on_a_head_that_does_not_follow",),
    ),
    Mutant(
        "altered bits of a manifest go unnoticed",
        "strandline/manifest/codec.py",
        "if found != digest:",
        "if False:",
        (FOLLOWS_TESTS + "test_every_flipped_bit_of_a_manifest_is_noticed",),
    ),
)
