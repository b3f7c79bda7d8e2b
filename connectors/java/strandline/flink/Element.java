package strandline.flink;

import java.nio.charset.StandardCharsets;
import org.apache.flink.shaded.jackson2.com.fasterxml.jackson.databind.node.ObjectNode;

/** What passes between the parts of a job: arrays of bytes whose first byte names their kind. */
final class Element {
    private Element() {}

    static byte[] of(char kind, ObjectNode content) {
        return (kind + content.toString()).getBytes(StandardCharsets.UTF_8);
    }

    static ObjectNode content(byte[] element) {
        return Json.parse(new String(element, 1, element.length - 1, StandardCharsets.UTF_8));
    }
}
