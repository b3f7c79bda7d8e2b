package strandline.flink;

import java.io.IOException;
import java.util.TreeMap;
import org.apache.flink.shaded.jackson2.com.fasterxml.jackson.databind.JsonNode;
import org.apache.flink.shaded.jackson2.com.fasterxml.jackson.databind.node.ArrayNode;
import org.apache.flink.shaded.jackson2.com.fasterxml.jackson.databind.node.ObjectNode;

/**
 * What a job asks of its stream's store, a method for each call of {@code
 * strandline/commit/agent_calls.py}. Every call may be repeated.
 */
final class StreamCalls implements AutoCloseable {
    private final JobSettings settings;
    private final StoreAgent agent;

    /** An open that stands, of a run that holds the stream. */
    record Open(long version, String run, TreeMap<Integer, Long> positions) {
        static Open of(JsonNode found) {
            return found == null ? null : new Open(
                    Json.integer(found, "version"),
                    Json.text(found, "run"),
                    Json.positions(found, "positions"));
        }
    }

    /**
     * What the newest version says of the stream.
     *
     * @param positions null if it does not know the stream
     * @param source what the stream is read from, null if it is not known
     */
    record Stand(long head, TreeMap<Integer, Long> positions, TreeMap<String, String> source) {
        boolean isKnown() {
            return positions != null;
        }
    }

    /** @param mine true if an earlier attempt had made the version */
    record Committed(
            long version, boolean mine, ObjectNode counts, long checkpoint, long newestEventMs) {}

    StreamCalls(JobSettings settings) {
        this.settings = settings;
        this.agent = StoreAgent.open(settings.agent());
    }

    /** Whether the store is there; throws if it does not answer. */
    void head() throws IOException, InterruptedException {
        agent.ask(call("head"));
    }

    /**
     * The open of this submission, or null. Ends the job if another run holds the stream.
     *
     * @param restored the checkpoint restored from, null for a fresh start
     */
    Open findOpen(Long restored) throws IOException, InterruptedException {
        ObjectNode call = ofSubmission("find_open");
        call.put("restored", restored);
        return Open.of(agent.ask(call));
    }

    /** The same, whether it started fresh or restored. */
    Open newestOpen() throws IOException, InterruptedException {
        return Open.of(agent.ask(ofSubmission("newest_open")));
    }

    Stand look() throws IOException, InterruptedException {
        JsonNode found = agent.ask(ofStream("look"));
        JsonNode entry = Json.get(found, "entry");
        long head = Json.integer(found, "head");
        return entry.isNull()
                ? new Stand(head, null, null)
                : new Stand(head, Json.positions(entry, "positions"), Json.texts(entry, "source"));
    }

    /**
     * Appends the open, or finds it; durable when it returns.
     *
     * @param positions on a fresh start, where partitions start that the store does not know; on a
     *     restore those of the restored state, which must equal the store's
     * @param source what the stream is read from; null: what it has read so far
     */
    Open open(
            String run,
            Long restored,
            TreeMap<Integer, Long> positions,
            TreeMap<String, String> source)
            throws IOException, InterruptedException {
        ObjectNode call = ofSubmission("open");
        call.put("run", run);
        call.put("restored", restored);
        call.set("positions", Json.positions(positions));
        if (source == null) {
            call.putNull("source");
        } else {
            ObjectNode texts = call.putObject("source");
            source.forEach(texts::put);
        }
        call.put("time_ms", System.currentTimeMillis());
        call.put("takeover", settings.takeover());
        call.put("topic_again", settings.topicAgain());
        ArrayNode tables = call.putArray("one_stream");
        settings.oneStream().forEach(tables::add);
        return Open.of(agent.ask(call));
    }

    /**
     * Commits an epoch, or finds that it was done before; durable when it returns.
     *
     * @param restored the checkpoint that this attempt was restored from, or null
     */
    Committed commit(Committable wanted, Long restored) throws IOException, InterruptedException {
        ObjectNode call = ofStream("commit");
        call.set("before", Json.positions(wanted.before()));
        call.put("prepared", wanted.prepared());
        call.put("restored", restored);
        JsonNode done = agent.ask(call);
        return new Committed(
                Json.integer(done, "version"),
                Json.get(done, "mine").booleanValue(),
                (ObjectNode) Json.get(done, "counts"),
                Json.integer(done, "checkpoint"),
                Json.integer(done, "newest_event_ms"));
    }

    /**
     * The newest version; ends the job if another run holds the stream there.
     *
     * @param head a version at which this run held it
     */
    long requireInForce(String run, long head) throws IOException, InterruptedException {
        ObjectNode call = ofStream("check_in_force");
        call.put("run", run);
        call.put("head", head);
        return Json.integer(agent.ask(call), "head");
    }

    @Override
    public void close() {
        agent.close();
    }

    private ObjectNode ofSubmission(String name) {
        return ofStream(name).put("submission", settings.submission());
    }

    private ObjectNode ofStream(String name) {
        return call(name).put("stream", settings.stream());
    }

    private static ObjectNode call(String name) {
        return Json.object().put("call", name);
    }
}
