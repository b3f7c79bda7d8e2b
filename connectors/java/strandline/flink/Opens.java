package strandline.flink;

import java.io.IOException;
import java.util.TreeMap;
import org.apache.flink.shaded.jackson2.com.fasterxml.jackson.databind.JsonNode;
import org.apache.flink.shaded.jackson2.com.fasterxml.jackson.databind.node.ObjectNode;

/**
 * Opens: the versions without deltas that say where a run stands. Twin of {@code
 * strandline/opening.py}.
 *
 * <p>An open is found by its key, along the list that a stream's opens form, so looking for one
 * again and again stays cheap however many versions there are. Appending is idempotent by key.
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
                    restored.isNull() ? null : Json.integer(restored));
        }
    }

    /**
     * @param entry what the open says about the stream
     * @param head the version that was head when it was found
     * @param now what head says about the stream
     */
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

    /** Where a new open starts, given what head says about the stream (null: nothing yet). */
    interface Start {
        StreamEntry at(long head, StreamEntry now);
    }

    /** The open of the key, or null. One call reads a few small files and waits for nothing. */
    static Found find(Store store, String stream, Key key) throws IOException {
        return find(store, store.head(0), stream, key);
    }

    private static Found find(Store store, long head, String stream, Key key) throws IOException {
        StreamEntry now = store.read(head).streams().get(stream);
        for (Long at = now == null ? null : now.open(); at != null; ) {
            Manifest open = store.read(at);
            if (key.equals(Key.of(Json.get(open.body(), "key")))) {
                return new Found(at, open.streams().get(stream), head, now);
            }
            at = previous(open);
        }
        return null;
    }

    /** The newest open of a submission, whether it started fresh or restored, or null. */
    static Found newestOf(Store store, String stream, String submission) throws IOException {
        long head = store.head(0);
        StreamEntry now = store.read(head).streams().get(stream);
        for (Long at = now == null ? null : now.open(); at != null; ) {
            Manifest open = store.read(at);
            if (Key.of(Json.get(open.body(), "key")).submission().equals(submission)) {
                return new Found(at, open.streams().get(stream), head, now);
            }
            at = previous(open);
        }
        return null;
    }

    /**
     * Finds the open of the key, or appends it at head; looks again whenever another version was
     * first. Only a run, position and source of what {@code start} answers are used.
     *
     * @param takeover whether to go on although several runs supersede each other
     */
    static Found findOrAppend(Store store, String stream, Key key, Start start, boolean takeover)
            throws InterruptedException {
        while (true) {
            Found found = Retry.untilAnswered("open of " + stream,
                    () -> tryAppend(store, stream, key, start, takeover));
            if (found != null) {
                return found.requireInForce(stream);
            }
        }
    }

    private static Found tryAppend(
            Store store, String stream, Key key, Start start, boolean takeover)
            throws IOException {
        long head = store.head(0);
        Found found = find(store, head, stream, key);
        if (found != null) {
            return found;
        }
        Manifest parent = store.read(head);
        StreamEntry now = parent.streams().get(stream);
        long timeMs = System.currentTimeMillis();
        if (key.restored() == null && now != null && !takeover) {
            refuseIfContested(store, stream, now.open(), timeMs);
        }
        StreamEntry wanted = start.at(head, now);
        long version = head + 1;
        StreamEntry entry = new StreamEntry(
                wanted.run(),
                version,
                version,
                wanted.positions(),
                now == null ? new TreeMap<>() : now.seqs(),
                wanted.source());
        ObjectNode body = Json.object();
        body.set("key", key.toJson());
        body.put("previous", now == null ? null : (Long) now.open());
        byte[] bytes = parent.next("open", Json.render(body), null, stream, entry, timeMs);
        return store.append(version, bytes) ? new Found(version, entry, version, entry) : null;
    }

    /** Two supervisors must not fence each other for ever. */
    private static void refuseIfContested(Store store, String stream, long newest, long timeMs)
            throws IOException {
        int recent = 0;
        Long at = newest;
        while (at != null) {
            Manifest open = store.read(at);
            if (open.timeMs() < timeMs - CONTESTED_WINDOW_MS) {
                return;
            }
            if (++recent >= CONTESTED) {
                throw Fatal.because("contested", String.format(
                        "stream %s was opened %d times within the last %d s, last at version %d:"
                                + " several jobs take it from each other in turn; stop all but one,"
                                + " or start with --takeover",
                        stream, recent, CONTESTED_WINDOW_MS / 1000, newest));
            }
            at = previous(open);
        }
    }

    private static Long previous(Manifest open) {
        JsonNode previous = Json.get(open.body(), "previous");
        return previous.isNull() ? null : (Long) Json.integer(previous);
    }
}
