package strandline.flink;

import java.io.IOException;
import java.nio.charset.StandardCharsets;
import java.util.Map;
import java.util.TreeMap;
import org.apache.flink.shaded.jackson2.com.fasterxml.jackson.core.JsonParser;
import org.apache.flink.shaded.jackson2.com.fasterxml.jackson.databind.DeserializationFeature;
import org.apache.flink.shaded.jackson2.com.fasterxml.jackson.databind.JsonNode;
import org.apache.flink.shaded.jackson2.com.fasterxml.jackson.databind.ObjectMapper;
import org.apache.flink.shaded.jackson2.com.fasterxml.jackson.databind.node.JsonNodeFactory;
import org.apache.flink.shaded.jackson2.com.fasterxml.jackson.databind.node.ObjectNode;

/** JSON objects with integers, strings and objects: what passes between Java and Python. */
final class Json {
    private static final ObjectMapper MAPPER =
            new ObjectMapper()
                    .enable(JsonParser.Feature.STRICT_DUPLICATE_DETECTION)
                    .enable(DeserializationFeature.FAIL_ON_TRAILING_TOKENS);

    private Json() {}

    /** Reads one JSON object. Throws IllegalArgumentException for anything else. */
    static ObjectNode parse(byte[] bytes) {
        return parse(new String(bytes, StandardCharsets.UTF_8));
    }

    static ObjectNode parse(String text) {
        try {
            if (MAPPER.readTree(text) instanceof ObjectNode node) {
                return node;
            }
        } catch (IOException e) {
            throw new IllegalArgumentException("not JSON: " + e.getMessage(), e);
        }
        throw new IllegalArgumentException("not a JSON object");
    }

    static ObjectNode object() {
        return JsonNodeFactory.instance.objectNode();
    }

    static byte[] bytes(ObjectNode node) {
        return node.toString().getBytes(StandardCharsets.UTF_8);
    }

    static JsonNode get(JsonNode node, String field) {
        JsonNode value = node.get(field);
        if (value == null) {
            throw new IllegalArgumentException("no field '" + field + "'");
        }
        return value;
    }

    static String text(JsonNode node, String field) {
        JsonNode value = get(node, field);
        if (!value.isTextual()) {
            throw new IllegalArgumentException("'" + field + "' is no string: " + value);
        }
        return value.textValue();
    }

    static long integer(JsonNode node, String field) {
        return integer(get(node, field));
    }

    static long integer(JsonNode value) {
        if (!value.isIntegralNumber() || !value.canConvertToLong()) {
            throw new IllegalArgumentException("not a 64-bit integer: " + value);
        }
        return value.longValue();
    }

    /** Reads {@code {"0": 12}}: partition to a position, neither of them negative. */
    static TreeMap<Integer, Long> positions(JsonNode node, String field) {
        TreeMap<Integer, Long> positions = new TreeMap<>();
        for (Map.Entry<String, JsonNode> entry : get(node, field).properties()) {
            long position = integer(entry.getValue());
            int partition = Integer.parseInt(entry.getKey());
            if (partition < 0 || position < 0) {
                throw new IllegalArgumentException("not a position in '" + field + "': " + entry);
            }
            positions.put(partition, position);
        }
        return positions;
    }

    static ObjectNode positions(Map<Integer, Long> positions) {
        ObjectNode node = object();
        positions.forEach((partition, at) -> node.put(Integer.toString(partition), at));
        return node;
    }

    static TreeMap<String, String> texts(JsonNode node, String field) {
        TreeMap<String, String> texts = new TreeMap<>();
        JsonNode found = get(node, field);
        found.fieldNames().forEachRemaining(name -> texts.put(name, text(found, name)));
        return texts;
    }
}
