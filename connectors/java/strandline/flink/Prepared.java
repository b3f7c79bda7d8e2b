package strandline.flink;

import java.nio.charset.StandardCharsets;
import java.util.ArrayList;
import java.util.List;
import org.apache.flink.shaded.jackson2.com.fasterxml.jackson.databind.JsonNode;
import org.apache.flink.shaded.jackson2.com.fasterxml.jackson.databind.node.ObjectNode;

/**
 * What the merger says about an epoch whose files are staged and durable.
 *
 * <p>On the wire: {@code 'P'}, a line of JSON, then the body of the version to be, which Java does
 * not read.
 *
 * @param start version of the START that the workers and the merger stand on
 * @param moves what was read; empty: there is nothing to commit
 * @param text the whole of it but the {@code 'P'}, for the commit
 */
record Prepared(String run, long start, List<Move> moves, String text) {

    /** Events [from, to) of one partition. */
    record Move(int partition, long from, long to) {}

    static Prepared parse(byte[] element) {
        String text = new String(element, 1, element.length - 1, StandardCharsets.UTF_8);
        int newline = text.indexOf('\n');
        if (newline < 0) {
            throw new IllegalArgumentException("no line end after the header");
        }
        ObjectNode header = Json.parse(text.substring(0, newline));
        List<Move> moves = new ArrayList<>();
        for (JsonNode move : Json.get(header, "moves")) {
            moves.add(new Move(
                    (int) Json.integer(move.path(0)),
                    Json.integer(move.path(1)),
                    Json.integer(move.path(2))));
        }
        return new Prepared(
                Json.text(header, "run"),
                Json.integer(header, "start"),
                List.copyOf(moves),
                text);
    }
}
