package strandline.flink;

import java.util.ArrayList;
import java.util.List;
import java.util.OptionalLong;
import java.util.TreeMap;
import org.apache.flink.shaded.jackson2.com.fasterxml.jackson.databind.JsonNode;
import org.apache.flink.shaded.jackson2.com.fasterxml.jackson.databind.node.ObjectNode;

/**
 * What one epoch of a stream proposes to commit. Its identity is the SHA-256 of its bytes.
 *
 * @param before positions of all partitions the stream has at the epoch's start
 * @param after positions of all partitions at its end, new ones too
 * @param first new partitions with their first offset
 * @param seqs newest delta per worker that learned in this epoch
 * @param body the version's body, as Python rendered it
 * @param checkpoint that ended the epoch, as the body says; 0 if there was none
 * @param files what the body names, with where it lies
 */
record Committable(
        byte[] bytes,
        String identity,
        String stream,
        String run,
        TreeMap<Integer, Long> before,
        TreeMap<Integer, Long> after,
        TreeMap<Integer, Long> first,
        TreeMap<Integer, Long> seqs,
        String body,
        long checkpoint,
        List<FileEntry> files,
        long timeMs) {
    static final int FORMAT = 1;

    /** A staged file: path inside the store, length, digest. */
    record FileEntry(String path, long bytes, String sha256) {}

    static Committable render(
            String stream,
            String run,
            TreeMap<Integer, Long> before,
            TreeMap<Integer, Long> after,
            TreeMap<Integer, Long> first,
            Prepared prepared) {
        ObjectNode head = Json.object();
        head.set("after", Json.numbers(after));
        head.set("before", Json.numbers(before));
        ObjectNode tail = Json.object();
        tail.set("first", Json.numbers(first));
        tail.put("format", FORMAT);
        tail.put("run", run);
        tail.set("seqs", Json.numbers(prepared.seqs()));
        tail.put("stream", stream);
        tail.put("time_ms", prepared.timeMs());
        String opening = Json.render(head);
        return parse(Json.ascii(
                opening.substring(0, opening.length() - 1)
                        + ",\"body\":" + prepared.body()
                        + "," + Json.render(tail).substring(1)));
    }

    static Committable parse(byte[] bytes) {
        try {
            ObjectNode node = Json.parse(bytes);
            long format = Json.integer(node, "format");
            if (format != FORMAT) {
                throw new IllegalArgumentException(
                        "format " + format + ", this release reads " + FORMAT);
            }
            Committable committable = new Committable(
                    bytes,
                    Json.sha256(bytes),
                    Json.text(node, "stream"),
                    Json.text(node, "run"),
                    Json.numbers(node, "before"),
                    Json.numbers(node, "after"),
                    Json.numbers(node, "first"),
                    Json.numbers(node, "seqs"),
                    Json.rawField(bytes, "body"),
                    Json.get(node, "body").path("checkpoint").asLong(),
                    files(Json.get(node, "body")),
                    Json.integer(node, "time_ms"));
            committable.requireConsistent();
            return committable;
        } catch (IllegalArgumentException e) {
            throw Fatal.because("refused", "not a committable: " + e.getMessage());
        }
    }

    /**
     * Whether an earlier attempt may have prepared it, given the checkpoint that this one was
     * restored from. What the end of the input ended names no checkpoint: then it may always be.
     */
    boolean mayBeOlderThan(OptionalLong restored) {
        return restored.isPresent()
                && (checkpoint <= restored.getAsLong() || checkpoint == EpochMarker.END_OF_INPUT);
    }

    private void requireConsistent() {
        TreeMap<Integer, Long> start = new TreeMap<>(before);
        start.putAll(first);
        boolean overlap = start.size() != before.size() + first.size();
        if (overlap || !after.keySet().equals(start.keySet())) {
            throw new IllegalArgumentException(
                    "after " + after + " does not name exactly before " + before
                            + " and first " + first);
        }
        if (after.equals(before) || start.entrySet().stream()
                .anyMatch(entry -> after.get(entry.getKey()) < entry.getValue())) {
            throw new IllegalArgumentException("after " + after + " is not ahead of " + start);
        }
    }

    private static List<FileEntry> files(JsonNode body) {
        List<FileEntry> files = new ArrayList<>();
        for (JsonNode file : Json.get(body, "files")) {
            files.add(file("deltas/", file, ".safetensors"));
        }
        JsonNode rejects = Json.get(Json.get(body, "rejects"), "file");
        if (!rejects.isNull()) {
            files.add(file("rejects/", rejects, ".jsonl"));
        }
        return List.copyOf(files);
    }

    private static FileEntry file(String folder, JsonNode file, String suffix) {
        String sha256 = Json.text(file, "sha256");
        if (!sha256.matches("[0-9a-f]{64}")) { // it becomes part of a path
            throw new IllegalArgumentException("not a SHA-256: " + sha256);
        }
        return new FileEntry(folder + sha256 + suffix, Json.integer(file, "bytes"), sha256);
    }
}
