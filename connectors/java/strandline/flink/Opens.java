package strandline.flink;

import java.io.IOException;
import java.util.ArrayList;
import java.util.List;
import java.util.Map;
import java.util.TreeMap;
import java.util.TreeSet;
import org.apache.flink.runtime.execution.SuppressRestartsException;
import org.apache.flink.shaded.jackson2.com.fasterxml.jackson.databind.JsonNode;
import org.apache.flink.shaded.jackson2.com.fasterxml.jackson.databind.node.ObjectNode;

/**
 * Opens: versions without deltas that state where a run of a stream stands. Twin of {@code
 * strandline/commit/opening.py}.
 *
 * <p>A fresh start begins a run and takes the stream over; a restore opens the same run again. An
 * open is found by its key, along the list that a stream's opens form: so an attempt repeated after
 * a crash or a lost answer finds what it made, and looking for it in a loop stays cheap.
 */
final class Opens {
    static final int CONTESTED = 8;
    static final long CONTESTED_WINDOW_MS = 60_000;

    private Opens() {}

    /**
     * What an open is found by.
     *
     * @param submission the uuid that the client made for this submission
     * @param restored the checkpoint restored from, null for a fresh start
     */
    record Key(String submission, Long restored) {
        ObjectNode toJson() {
            ObjectNode node = Json.object();
            node.put("restored", restored);
            node.put("submission", submission);
            return node;
        }

        static Key of(JsonNode node) {
            JsonNode restored = Json.get(node, "restored");
            return new Key(
                    Json.text(node, "submission"),
                    restored.isNull() ? null : (Long) Json.integer(restored));
        }
    }

    /**
     * What a start or a restore wants to state.
     *
     * @param positions on a fresh start, where partitions start that the store does not know; on a
     *     restore those of the restored state, which must equal the store's
     * @param takeover whether to start although several runs supersede each other
     * @param topicAgain whether a new stream may read a topic that another one reads
     * @param oneStream tables whose merge rule does not commute: with any of them the store takes
     *     no second stream
     */
    record Opening(
            String stream,
            String run,
            Key key,
            TreeMap<Integer, Long> positions,
            TreeMap<String, String> source,
            long timeMs,
            boolean takeover,
            boolean topicAgain,
            List<String> oneStream) {}

    enum Outcome { CREATE, FOUND, SUPERSEDED, RIVAL, GAP, CONTESTED, SECOND_STREAM, TOPIC_TAKEN }

    /**
     * @param version the version to create, or the open's, else head
     * @param manifest its bytes, of CREATE only
     * @param entry what the open says about the stream, of CREATE and FOUND
     */
    record Decision(Outcome outcome, long version, byte[] manifest, StreamEntry entry) {}

    /** An open that stands in the store; {@code now} is what {@code head} says of the stream. */
    record Found(long version, StreamEntry entry, long head, StreamEntry now) {
        boolean inForce() {
            return now.run().equals(entry.run());
        }

        /** This open, or the end of the job if another run stands above it. */
        Found requireInForce(String stream) {
            if (!inForce()) {
                throw Commit.superseded(head, stream, now, entry.run());
            }
            return this;
        }
    }

    /** Says what to open, given what head says of the stream (null: nothing yet). */
    interface Start {
        Opening at(long head, StreamEntry now);
    }

    /** The open of the key, or null. Reads a few small files and waits for nothing. */
    static Found find(Store store, String stream, Key key) throws IOException {
        long head = store.head(0);
        StreamEntry now = store.read(head).streams().get(stream);
        for (Manifest open : all(stream, now, store::read)) {
            if (key(open).equals(key)) {
                return new Found(open.version(), open.streams().get(stream), head, now);
            }
        }
        return null;
    }

    /** The newest open of a submission, whether it started fresh or restored, or null. */
    static Found newestOf(Store store, String stream, String submission) throws IOException {
        long head = store.head(0);
        StreamEntry now = store.read(head).streams().get(stream);
        for (Manifest open : all(stream, now, store::read)) {
            if (key(open).submission().equals(submission)) {
                return new Found(open.version(), open.streams().get(stream), head, now);
            }
        }
        return null;
    }

    /** Finds the open of the key, or appends what {@code start} says; durable when it returns. */
    static Found findOrAppend(Store store, String stream, Key key, Start start)
            throws InterruptedException {
        while (true) {
            Found found = Retry.untilAnswered("open of " + stream, () -> {
                Found standing = find(store, stream, key);
                return standing != null ? durable(store, standing) : append(store, stream, start);
            });
            if (found != null) {
                return found.requireInForce(stream);
            }
        }
    }

    /** Decides while {@code head} is the newest version. Reads versions, changes nothing. */
    static Decision decide(long head, Commit.Versions versions, Opening wanted)
            throws IOException {
        Manifest parent = versions.read(head);
        StreamEntry now = parent.streams().get(wanted.stream());
        List<Manifest> opens = all(wanted.stream(), now, versions);
        for (Manifest open : opens) {
            if (key(open).equals(wanted.key())) {
                StreamEntry entry = open.streams().get(wanted.stream());
                return entry.run().equals(now.run())
                        ? new Decision(Outcome.FOUND, open.version(), null, entry)
                        : new Decision(Outcome.SUPERSEDED, head, null, null);
            }
        }
        Outcome refusal = refuseSecond(parent, wanted);
        if (refusal == null) {
            refusal = wanted.key().restored() == null
                    ? refuseStart(parent, opens, wanted)
                    : refuseRestore(now, wanted);
        }
        return refusal == null
                ? create(parent, now, wanted)
                : new Decision(refusal, head, null, null);
    }

    private static Found append(Store store, String stream, Start start) throws IOException {
        long head = store.head(0);
        Manifest parent = store.read(head);
        Opening wanted = start.at(head, parent.streams().get(stream));
        Decision decision = decide(head, store::read, wanted);
        return switch (decision.outcome()) {
            case CREATE -> store.append(decision.version(), decision.manifest())
                    ? new Found(decision.version(), decision.entry(), decision.version(),
                            decision.entry())
                    : null;
            case FOUND -> null; // another attempt was first: found at the next turn
            default -> throw refusal(decision.outcome(), parent, wanted);
        };
    }

    /** The attempt that made it may have died before its folder was durable. */
    private static Found durable(Store store, Found found) throws IOException {
        store.append(found.version(), store.manifest(found.version()));
        return found;
    }

    /** A stream's opens, newest first: each names the one before it. */
    private static List<Manifest> all(String stream, StreamEntry now, Commit.Versions versions)
            throws IOException {
        List<Manifest> opens = new ArrayList<>();
        for (Long at = now == null ? null : (Long) now.open(); at != null; ) {
            Manifest open = versions.read(at);
            StreamEntry entry = open.streams().get(stream);
            if (!open.kind().equals("open") || entry == null || entry.version() != at) {
                throw Fatal.damaged("version " + at + " is named as an open of stream " + stream
                        + ", but is of kind " + open.kind() + " and says " + entry);
            }
            opens.add(open);
            at = previous(open);
        }
        return opens;
    }

    /** The list must lead down, or it would never end. */
    private static Long previous(Manifest open) {
        try {
            key(open);
            JsonNode previous = Json.get(open.body(), "previous");
            if (previous.isNull()) {
                return null;
            }
            long version = Json.integer(previous);
            if (version < 0 || version >= open.version()) {
                throw new IllegalArgumentException("the open before it is said to be " + version);
            }
            return version;
        } catch (IllegalArgumentException e) {
            throw Fatal.damaged("version " + open.version() + " is no open that can be read: "
                    + e.getMessage());
        }
    }

    private static Key key(Manifest open) {
        return Key.of(Json.get(open.body(), "key"));
    }

    /** Rows that two streams change in turn hold what the order of their commits makes of them. */
    private static Outcome refuseSecond(Manifest parent, Opening wanted) {
        return wanted.oneStream().isEmpty() || others(parent, wanted).isEmpty()
                ? null
                : Outcome.SECOND_STREAM;
    }

    private static TreeSet<String> others(Manifest parent, Opening wanted) {
        TreeSet<String> others = new TreeSet<>(parent.streams().keySet());
        others.remove(wanted.stream());
        return others;
    }

    /** A stream that the store knows goes on, whoever reads its topic beside it. */
    private static List<String> readers(Manifest parent, Opening wanted) {
        return parent.streams().containsKey(wanted.stream())
                        || !wanted.source().containsKey("topic_id")
                ? List.of()
                : parent.streams().entrySet().stream()
                        .filter(stream -> stream.getValue().source().equals(wanted.source()))
                        .map(Map.Entry::getKey)
                        .sorted()
                        .toList();
    }

    /** Two supervisors must not fence each other for ever. Restores take nothing over. */
    private static Outcome refuseStart(Manifest parent, List<Manifest> opens, Opening wanted) {
        if (!wanted.topicAgain() && !readers(parent, wanted).isEmpty()) {
            return Outcome.TOPIC_TAKEN;
        }
        long since = wanted.timeMs() - CONTESTED_WINDOW_MS;
        long recent = opens.stream()
                .filter(open -> key(open).restored() == null && open.timeMs() >= since)
                .count();
        return recent < CONTESTED || wanted.takeover() ? null : Outcome.CONTESTED;
    }

    /** A restore goes on with its own run, exactly where the store stands. */
    private static Outcome refuseRestore(StreamEntry now, Opening wanted) {
        if (now == null || !now.run().equals(wanted.run())) {
            return Outcome.SUPERSEDED;
        }
        if (Commit.ahead(now.positions(), wanted.positions())) {
            return Outcome.RIVAL;
        }
        return Commit.ahead(wanted.positions(), now.positions()) ? Outcome.GAP : null;
    }

    private static Decision create(Manifest parent, StreamEntry now, Opening wanted) {
        long version = parent.version() + 1;
        TreeMap<Integer, Long> positions = new TreeMap<>(wanted.positions());
        if (now != null) {
            positions.putAll(now.positions());
        }
        StreamEntry entry = new StreamEntry(
                wanted.run(),
                version,
                version,
                positions,
                now == null ? new TreeMap<>() : now.seqs(),
                wanted.source());
        ObjectNode body = Json.object();
        body.set("key", wanted.key().toJson());
        body.put("previous", now == null ? null : (Long) now.open());
        byte[] manifest = parent.next(
                "open", Json.render(body), null, wanted.stream(), entry, wanted.timeMs());
        return new Decision(Outcome.CREATE, version, manifest, entry);
    }

    private static SuppressRestartsException refusal(
            Outcome outcome, Manifest parent, Opening wanted) {
        long head = parent.version();
        StreamEntry now = parent.streams().get(wanted.stream());
        return switch (outcome) {
            case SUPERSEDED -> Commit.superseded(head, wanted.stream(), now, wanted.run());
            case CONTESTED -> Fatal.because("contested", String.format(
                    "stream %s: %d runs or more took it over within %d s, fewer are expected; two"
                            + " supervisors may be starting the same job: stop one, or start with"
                            + " --takeover",
                    wanted.stream(), CONTESTED, CONTESTED_WINDOW_MS / 1000));
            case SECOND_STREAM -> Fatal.because("second_stream", String.format(
                    "stream %s: the store is fed by stream %s, and what table %s holds depends on"
                            + " the order of commits, so it takes one stream only; feed both topics"
                            + " into one stream, or keep a store for each",
                    wanted.stream(), String.join(", ", others(parent, wanted)),
                    String.join(", ", wanted.oneStream())));
            case TOPIC_TAKEN -> Fatal.because("topic_taken", String.format(
                    "stream %s: topic %s is read by stream %s already; expected a topic that no"
                            + " other stream of the store reads, for each of its events would count"
                            + " twice; go on with --stream %s, or start with --topic-again if that"
                            + " is what you want",
                    wanted.stream(), wanted.source().get("topic"),
                    String.join(", ", readers(parent, wanted)),
                    readers(parent, wanted).get(0)));
            default -> Fatal.because(outcome == Outcome.GAP ? "gap" : "rival", String.format(
                    "stream %s: version %d stands at %s, the restored state at %s; start again"
                            + " without a savepoint: the job goes on from head",
                    wanted.stream(), head, now.positions(), wanted.positions()));
        };
    }
}
