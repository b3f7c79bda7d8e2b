package strandline.flink;

import java.nio.charset.StandardCharsets;
import java.util.TreeMap;
import org.apache.flink.shaded.jackson2.com.fasterxml.jackson.databind.node.ObjectNode;

/**
 * An epoch to be committed: where the stream stood, and what was prepared, as Python said it.
 *
 * @param before positions of all partitions that the stream has at the epoch's start
 * @param prepared the text of {@code strandline.commit.prepared.Prepared}; Java does not read it
 */
record Committable(String run, TreeMap<Integer, Long> before, String prepared) {

    /** A line of JSON, then the text. */
    byte[] bytes() {
        ObjectNode head = Json.object();
        head.set("before", Json.positions(before));
        head.put("run", run);
        return (head + "\n" + prepared).getBytes(StandardCharsets.UTF_8);
    }

    static Committable parse(byte[] bytes) {
        String text = new String(bytes, StandardCharsets.UTF_8);
        int line = text.indexOf('\n');
        ObjectNode head = Json.parse(text.substring(0, Math.max(line, 0)));
        return new Committable(
                Json.text(head, "run"), Json.positions(head, "before"), text.substring(line + 1));
    }
}
