package strandline.flink;

import java.io.IOException;
import java.nio.charset.StandardCharsets;
import java.security.MessageDigest;
import java.security.NoSuchAlgorithmException;
import java.util.HexFormat;
import java.util.Iterator;
import java.util.Map;
import java.util.TreeMap;
import org.apache.flink.shaded.jackson2.com.fasterxml.jackson.core.JsonParser;
import org.apache.flink.shaded.jackson2.com.fasterxml.jackson.core.JsonToken;
import org.apache.flink.shaded.jackson2.com.fasterxml.jackson.databind.DeserializationFeature;
import org.apache.flink.shaded.jackson2.com.fasterxml.jackson.databind.JsonNode;
import org.apache.flink.shaded.jackson2.com.fasterxml.jackson.databind.ObjectMapper;
import org.apache.flink.shaded.jackson2.com.fasterxml.jackson.databind.node.JsonNodeFactory;
import org.apache.flink.shaded.jackson2.com.fasterxml.jackson.databind.node.ObjectNode;

/**
 * Canonical JSON, byte for byte what {@code strandline.encoding.canonical} writes: keys sorted, no
 * white space, ASCII only.
 *
 * <p>Floats are refused. Python and Java print the same float in different ways, so Java renders
 * none: texts that hold floats (the body of a version) pass through as they are.
 */
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

    /** The text of one top-level field, exactly as it is written. */
    static String rawField(byte[] bytes, String field) {
        String text = new String(bytes, StandardCharsets.UTF_8);
        try (JsonParser parser = MAPPER.getFactory().createParser(text)) {
            parser.nextToken();
            while (parser.nextToken() == JsonToken.FIELD_NAME) {
                String name = parser.currentName();
                JsonToken token = parser.nextToken();
                long start = parser.currentTokenLocation().getCharOffset();
                for (int depth = token.isStructStart() ? 1 : 0; depth > 0; ) {
                    token = parser.nextToken();
                    depth += token.isStructStart() ? 1 : token.isStructEnd() ? -1 : 0;
                }
                if (name.equals(field)) {
                    parser.finishToken();
                    long end = parser.currentLocation().getCharOffset();
                    return text.substring((int) start, (int) end);
                }
            }
        } catch (IOException e) {
            throw new IllegalArgumentException("not JSON: " + e.getMessage(), e);
        }
        throw new IllegalArgumentException("no field '" + field + "'");
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

    /** Reads {@code {"0": 12}}: partition or worker index to a number that is not negative. */
    static TreeMap<Integer, Long> numbers(JsonNode node, String field) {
        TreeMap<Integer, Long> numbers = new TreeMap<>();
        for (Map.Entry<String, JsonNode> entry : get(node, field).properties()) {
            long value = integer(entry.getValue());
            int key = Integer.parseInt(entry.getKey());
            if (key < 0 || value < 0 || !entry.getKey().equals(Integer.toString(key))) {
                throw new IllegalArgumentException("not a position in '" + field + "': " + entry);
            }
            numbers.put(key, value);
        }
        return numbers;
    }

    static ObjectNode numbers(Map<Integer, Long> numbers) {
        ObjectNode node = object();
        numbers.forEach((key, value) -> node.put(Integer.toString(key), value));
        return node;
    }

    static String render(JsonNode node) {
        StringBuilder out = new StringBuilder();
        render(node, out);
        return out.toString();
    }

    static byte[] ascii(String text) {
        return text.getBytes(StandardCharsets.US_ASCII);
    }

    static String sha256(byte[] bytes) {
        return HexFormat.of().formatHex(sha256().digest(bytes));
    }

    static MessageDigest sha256() {
        try {
            return MessageDigest.getInstance("SHA-256");
        } catch (NoSuchAlgorithmException e) {
            throw new IllegalStateException("every Java has SHA-256", e);
        }
    }

    private static void render(JsonNode node, StringBuilder out) {
        if (node.isObject()) {
            renderObject(node, out);
        } else if (node.isArray()) {
            out.append('[');
            for (Iterator<JsonNode> items = node.iterator(); items.hasNext(); ) {
                render(items.next(), out);
                out.append(items.hasNext() ? "," : "");
            }
            out.append(']');
        } else if (node.isTextual()) {
            quote(node.textValue(), out);
        } else if (node.isIntegralNumber() || node.isBoolean() || node.isNull()) {
            out.append(node.asText());
        } else {
            throw new IllegalArgumentException("Java renders no such value: " + node);
        }
    }

    private static void renderObject(JsonNode node, StringBuilder out) {
        TreeMap<String, JsonNode> sorted = new TreeMap<>();
        node.properties().forEach(entry -> sorted.put(entry.getKey(), entry.getValue()));
        String separator = "{";
        for (Map.Entry<String, JsonNode> entry : sorted.entrySet()) {
            out.append(separator);
            quote(entry.getKey(), out);
            out.append(':');
            render(entry.getValue(), out);
            separator = ",";
        }
        out.append(sorted.isEmpty() ? "{}" : "}");
    }

    private static void quote(String text, StringBuilder out) {
        out.append('"');
        for (int i = 0; i < text.length(); i++) {
            char c = text.charAt(i);
            switch (c) {
                case '"' -> out.append("\\\"");
                case '\\' -> out.append("\\\\");
                case '\n' -> out.append("\\n");
                case '\r' -> out.append("\\r");
                case '\t' -> out.append("\\t");
                case '\f' -> out.append("\\f");
                case '\b' -> out.append("\\b");
                default -> {
                    if (c >= ' ' && c <= '~') {
                        out.append(c);
                    } else {
                        out.append("\\u").append(HexFormat.of().toHexDigits(c));
                    }
                }
            }
        }
        out.append('"');
    }
}
