package strandline.flink;

import java.util.Map;
import java.util.TreeMap;
import org.apache.flink.shaded.jackson2.com.fasterxml.jackson.databind.JsonNode;
import org.apache.flink.shaded.jackson2.com.fasterxml.jackson.databind.node.ObjectNode;

/**
 * The immutable JSON that is a version. Twin of {@code strandline/manifest/}.
 *
 * <p>Java understands the streams and, of a version of kind open, the body. Other bodies are
 * Python's: Java never renders them.
 */
record Manifest(
        long version,
        String kind,
        String spec,
        String committable,
        TreeMap<String, StreamEntry> streams,
        ObjectNode body,
        long timeMs,
        String sha256) {
    static final int FORMAT = 1;
    static final int BYTES_MAX = 16 << 20;

    static Manifest parse(long version, byte[] bytes) {
        try {
            ObjectNode node = Json.parse(bytes);
            long format = Json.integer(node, "format");
            if (format != FORMAT) {
                throw new IllegalArgumentException("format " + format + ", this release reads "
                        + FORMAT + (format > FORMAT ? "; upgrade strandline" : ""));
            }
            if (Json.integer(node, "version") != version) {
                throw new IllegalArgumentException("it says version " + node.get("version"));
            }
            TreeMap<String, StreamEntry> streams = new TreeMap<>();
            for (Map.Entry<String, JsonNode> entry : Json.get(node, "streams").properties()) {
                streams.put(entry.getKey(), StreamEntry.of(entry.getValue()));
            }
            return new Manifest(
                    version,
                    Json.text(node, "kind"),
                    Json.text(node, "spec"),
                    Json.get(node, "committable").textValue(),
                    streams,
                    (ObjectNode) Json.get(node, "body"),
                    Json.integer(node, "time_ms"),
                    Json.sha256(bytes));
        } catch (IllegalArgumentException | ClassCastException e) {
            throw Fatal.damaged(
                    "version " + version + " cannot be read: " + e.getMessage()
                            + "; run `strandline fsck` on the store");
        }
    }

    /** Bytes of the version after this one: a pure function of this version and the arguments. */
    byte[] next(
            String nextKind,
            String bodyText,
            String nextCommittable,
            String stream,
            StreamEntry entry,
            long nextTimeMs) {
        ObjectNode nextStreams = Json.object();
        streams.forEach((name, other) -> nextStreams.set(name, other.toJson()));
        nextStreams.set(stream, entry.toJson());
        ObjectNode rest = Json.object();
        rest.put("committable", nextCommittable);
        rest.put("format", FORMAT);
        rest.put("kind", nextKind);
        rest.put("parent", sha256);
        rest.put("spec", spec);
        rest.set("streams", nextStreams);
        rest.put("time_ms", nextTimeMs);
        rest.put("version", version + 1);
        return Json.ascii("{\"body\":" + bodyText + "," + Json.render(rest).substring(1));
    }
}
