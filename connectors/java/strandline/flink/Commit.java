package strandline.flink;

import java.io.IOException;
import java.util.Map;
import org.apache.flink.runtime.execution.SuppressRestartsException;

/**
 * The commit: one committable becomes one version, once. Twin of
 * {@code strandline/commit/committing.py}.
 *
 * <pre>
 * run of head's entry is not mine ............................ SUPERSEDED
 * head's positions == before ................................. CREATE head + 1
 * head is ahead of before: walk this stream's versions back,
 *     within my run, until before is found or passed
 *     a commit with my identity .............................. MINE
 *     none ................................................... RIVAL
 * head is ahead in one partition and behind in another ....... RIVAL
 * head is behind before ...................................... GAP
 * </pre>
 *
 * A partition that one side does not name counts as behind everything there.
 */
final class Commit {
    private Commit() {}

    enum Outcome { CREATE, MINE, SUPERSEDED, RIVAL, GAP }

    /**
     * @param version the version to create, or the one made before
     * @param manifest its bytes, of CREATE only
     * @param entry what head says about the stream, null if it does not know it
     */
    record Decision(Outcome outcome, long version, byte[] manifest, StreamEntry entry) {}

    /** @param mine true if an earlier attempt had made the version */
    record Committed(long version, boolean mine) {}

    interface Versions {
        Manifest read(long version) throws IOException;
    }

    /** Decides while {@code head} is the newest version. Reads versions, changes nothing. */
    static Decision decide(long head, Versions versions, Committable wanted) throws IOException {
        Manifest parent = versions.read(head);
        StreamEntry entry = parent.streams().get(wanted.stream());
        if (entry == null || !entry.run().equals(wanted.run())) {
            return new Decision(Outcome.SUPERSEDED, head, null, entry);
        }
        boolean ahead = ahead(entry.positions(), wanted.before());
        boolean behind = ahead(wanted.before(), entry.positions());
        if (!ahead && !behind) {
            return create(parent, entry, wanted);
        }
        if (behind) {
            return new Decision(ahead ? Outcome.RIVAL : Outcome.GAP, head, null, entry);
        }
        long mine = findMine(entry, versions, wanted);
        return mine < 0
                ? new Decision(Outcome.RIVAL, head, null, entry)
                : new Decision(Outcome.MINE, mine, null, entry);
    }

    /**
     * Commits, or finds that it was done before; the version is durable when it returns.
     *
     * @param restored whether files were staged before this process began, so that their digests
     *     are asked for, not their lengths alone
     */
    static Committed commit(Store store, Committable wanted, boolean restored)
            throws InterruptedException {
        boolean checked = false;
        SuppressRestartsException lost = null;
        long head = 0;
        while (true) {
            long hint = head;
            head = Retry.untilAnswered("head", () -> store.head(hint));
            long known = head;
            Decision decision =
                    Retry.untilAnswered("decide", () -> decide(known, store::read, wanted));
            switch (decision.outcome()) {
                case CREATE -> {
                    if (lost != null) {
                        throw lost;
                    }
                    if (!checked) {
                        lost = lost(store, wanted, restored);
                        checked = true;
                        if (lost != null) {
                            continue; // the files of a run that was superseded meanwhile may go
                        }
                    }
                    // A lost answer leaves the number taken: the next turn finds it to be mine.
                    boolean created = Retry.untilAnswered("commit",
                            () -> store.append(decision.version(), decision.manifest()));
                    if (created) {
                        return new Committed(decision.version(), false);
                    }
                }
                case MINE -> {
                    // The attempt that made it may have died before its folder was durable.
                    Retry.untilAnswered("commit", () -> store.append(
                            decision.version(), store.manifest(decision.version())));
                    return new Committed(decision.version(), true);
                }
                default -> throw refusal(known, decision, wanted);
            }
        }
    }

    /** Whether {@code here} is ahead of {@code there} in a partition. */
    static boolean ahead(Map<Integer, Long> here, Map<Integer, Long> there) {
        return here.entrySet().stream()
                .anyMatch(at -> at.getValue() > there.getOrDefault(at.getKey(), -1L));
    }

    private static Decision create(Manifest parent, StreamEntry entry, Committable wanted) {
        long version = parent.version() + 1;
        byte[] manifest = parent.next(
                "train",
                wanted.body(),
                wanted.identity(),
                wanted.stream(),
                entry.advanced(version, wanted.after(), wanted.seqs()),
                wanted.timeMs());
        if (manifest.length > Manifest.BYTES_MAX) {
            throw Fatal.because("refused", String.format(
                    "version %d of stream %s needs a manifest of %d bytes, at most %d are allowed;"
                            + " start again from head with a shorter checkpoint interval",
                    version, wanted.stream(), manifest.length, Manifest.BYTES_MAX));
        }
        return new Decision(Outcome.CREATE, version, manifest, entry);
    }

    /** The version that this committable made, walking back within its run, or -1. */
    private static long findMine(StreamEntry entry, Versions versions, Committable wanted)
            throws IOException {
        long version = entry.version();
        while (true) {
            if (wanted.identity().equals(versions.read(version).committable())) {
                return version;
            }
            // What the parent says of the stream is where this version began.
            StreamEntry began = versions.read(version - 1).streams().get(wanted.stream());
            if (began == null || !began.run().equals(wanted.run())) {
                return -1;
            }
            boolean ahead = ahead(began.positions(), wanted.before());
            if (!ahead || ahead(wanted.before(), began.positions())) {
                return -1;
            }
            version = began.version();
        }
    }

    /** The end of a job whose files are not as they were prepared; null if all of them are. */
    private static SuppressRestartsException lost(
            Store store, Committable wanted, boolean restored) throws InterruptedException {
        for (Committable.FileEntry file : wanted.files()) {
            String fault = Retry.certainFault(() -> store.fault(file, restored));
            if (fault != null) {
                return Fatal.damaged(String.format(
                        "stream %s: what was prepared of the events from %s to %s was lost before"
                                + " its commit: %s; expected %d bytes of SHA-256 %s. Nothing was"
                                + " committed: see what else writes to the store's folders, then"
                                + " start again without a savepoint; the job reads these events"
                                + " again",
                        wanted.stream(), wanted.before(), wanted.after(),
                        fault, file.bytes(), file.sha256()));
            }
        }
        return null;
    }

    private static SuppressRestartsException refusal(
            long head, Decision decision, Committable wanted) {
        if (decision.outcome() == Outcome.SUPERSEDED) {
            return superseded(head, wanted.stream(), decision.entry(), wanted.run());
        }
        boolean rival = decision.outcome() == Outcome.RIVAL;
        return Fatal.because(rival ? "rival" : "gap", String.format(
                "stream %s: %s; version %d stands at %s, the commit goes from %s to %s; %s",
                wanted.stream(),
                rival ? "another commit of run " + wanted.run() + " covers these events"
                        : "events between head and this commit are missing",
                head, decision.entry().positions(), wanted.before(), wanted.after(),
                rival ? "stop the other job of this run, then start again without a savepoint:"
                                + " the job goes on from head"
                        : "start again without a savepoint: the job reads them from head's"
                                + " positions"));
    }

    /** The end of a run that another one has taken the stream from. */
    static SuppressRestartsException superseded(
            long head, String stream, StreamEntry entry, String run) {
        String holder = entry == null
                ? "no run"
                : "run " + entry.run() + " (open at version " + entry.open() + ")";
        return Fatal.because("superseded", String.format(
                "stream %s: this is run %s, but at version %d the stream is held by %s;"
                        + " nothing is lost: let that run go on, or start again from head,"
                        + " without a savepoint",
                stream, run, head, holder));
    }
}
