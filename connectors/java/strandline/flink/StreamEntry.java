package strandline.flink;

import java.util.Map;
import java.util.TreeMap;
import org.apache.flink.shaded.jackson2.com.fasterxml.jackson.databind.JsonNode;
import org.apache.flink.shaded.jackson2.com.fasterxml.jackson.databind.node.ObjectNode;

/**
 * Where one stream stands in a version.
 *
 * @param run the run that holds the stream
 * @param open version of the stream's newest open
 * @param version newest version of this stream
 * @param positions per partition, the offset of the next event
 * @param seqs per worker index, the newest delta contained
 * @param source what feeds the stream: for Kafka cluster, topic, topic_id
 */
record StreamEntry(
        String run,
        long open,
        long version,
        TreeMap<Integer, Long> positions,
        TreeMap<Integer, Long> seqs,
        TreeMap<String, String> source) {

    static StreamEntry of(JsonNode node) {
        TreeMap<String, String> source = new TreeMap<>();
        JsonNode sources = Json.get(node, "source");
        sources.fieldNames().forEachRemaining(name -> source.put(name, Json.text(sources, name)));
        return new StreamEntry(
                Json.text(node, "run"),
                Json.integer(node, "open"),
                Json.integer(node, "version"),
                Json.numbers(node, "positions"),
                Json.numbers(node, "seqs"),
                source);
    }

    ObjectNode toJson() {
        ObjectNode node = Json.object();
        node.put("open", open);
        node.set("positions", Json.numbers(positions));
        node.put("run", run);
        node.set("seqs", Json.numbers(seqs));
        ObjectNode sources = node.putObject("source");
        source.forEach(sources::put);
        node.put("version", version);
        return node;
    }

    /** This entry after a commit: run, open and source stay. */
    StreamEntry advanced(long newVersion, Map<Integer, Long> after, Map<Integer, Long> newSeqs) {
        TreeMap<Integer, Long> overlaid = new TreeMap<>(seqs);
        overlaid.putAll(newSeqs);
        return new StreamEntry(run, open, newVersion, new TreeMap<>(after), overlaid, source);
    }
}
