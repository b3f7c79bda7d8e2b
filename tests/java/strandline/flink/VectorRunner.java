package strandline.flink;

import java.io.IOException;
import java.io.PrintStream;
import java.nio.charset.StandardCharsets;
import java.nio.file.DirectoryStream;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.ArrayList;
import java.util.List;
import java.util.OptionalLong;
import java.util.TreeMap;
import org.apache.flink.runtime.execution.SuppressRestartsException;
import org.apache.flink.shaded.jackson2.com.fasterxml.jackson.databind.JsonNode;
import org.apache.flink.shaded.jackson2.com.fasterxml.jackson.databind.node.ObjectNode;

/** Runs the Java half of the commit for a Python test, and answers with one line of JSON. */
public final class VectorRunner {
    private static final PrintStream OUT =
            new PrintStream(System.out, true, StandardCharsets.US_ASCII);

    private VectorRunner() {}

    public static void main(String[] args) throws Exception {
        ObjectNode answer =
                switch (args[0]) {
                    case "decide" -> decideAll(Path.of(args[1]));
                    case "commit" -> commit(Path.of(args[1]), Path.of(args[2]), restored(args));
                    case "append" -> append(Path.of(args[1]), Long.parseLong(args[2]));
                    case "versions" -> versions(Path.of(args[1]), args);
                    case "race" -> race(Path.of(args[1]));
                    default -> throw new IllegalArgumentException(args[0]);
                };
        OUT.println(Json.render(answer));
    }

    /** Decides every vector of a folder: name to outcome, version and manifest. */
    private static ObjectNode decideAll(Path folder) throws IOException {
        ObjectNode verdicts = Json.object();
        try (DirectoryStream<Path> files = Files.newDirectoryStream(folder, "*.json")) {
            for (Path file : files) {
                ObjectNode vector = Json.parse(Files.readAllBytes(file));
                verdicts.set(file.getFileName().toString(), decide(vector));
            }
        }
        return verdicts;
    }

    private static ObjectNode decide(ObjectNode vector) throws IOException {
        JsonNode texts = Json.get(vector, "manifests");
        Commit.Versions versions = version -> {
            String text = texts.get((int) version).textValue();
            return Manifest.parse(version, text.getBytes(StandardCharsets.UTF_8));
        };
        long head = texts.size() - 1L;
        ObjectNode verdict = Json.object();
        if (vector.has("open")) {
            Opens.Decision decision = Opens.decide(head, versions, opening(vector.get("open")));
            put(verdict, decision.outcome().name(), decision.version(), decision.manifest());
        } else {
            byte[] bytes = Json.text(vector, "committable").getBytes(StandardCharsets.UTF_8);
            Commit.Decision decision = Commit.decide(head, versions, Committable.parse(bytes));
            put(verdict, decision.outcome().name(), decision.version(), decision.manifest());
        }
        return verdict;
    }

    private static Opens.Opening opening(JsonNode node) {
        TreeMap<String, String> source = new TreeMap<>();
        JsonNode sources = Json.get(node, "source");
        sources.fieldNames().forEachRemaining(name -> source.put(name, Json.text(sources, name)));
        List<String> oneStream = new ArrayList<>();
        Json.get(node, "one_stream").forEach(table -> oneStream.add(table.textValue()));
        return new Opens.Opening(
                Json.text(node, "stream"),
                Json.text(node, "run"),
                Opens.Key.of(Json.get(node, "key")),
                Json.numbers(node, "positions"),
                source,
                Json.integer(node, "time_ms"),
                Json.get(node, "takeover").booleanValue(),
                Json.get(node, "topic_again").booleanValue(),
                oneStream);
    }

    /** A version says nothing about a refusal, and a manifest only of what is to be created. */
    private static void put(ObjectNode verdict, String outcome, long version, byte[] manifest) {
        boolean stands = outcome.equals("CREATE") || outcome.equals("MINE")
                || outcome.equals("FOUND");
        verdict.put("outcome", outcome.toLowerCase(java.util.Locale.ROOT));
        verdict.put("version", stands ? (Long) version : null);
        verdict.put("manifest",
                manifest == null ? null : new String(manifest, StandardCharsets.US_ASCII));
    }

    /** The checkpoint that the commit's attempt was restored from, if one is named. */
    private static OptionalLong restored(String[] args) {
        return args.length < 4 ? OptionalLong.empty() : OptionalLong.of(Long.parseLong(args[3]));
    }

    private static ObjectNode commit(Path root, Path committable, OptionalLong restored)
            throws Exception {
        ObjectNode answer = Json.object();
        try {
            Committable wanted = Committable.parse(Files.readAllBytes(committable));
            Commit.Committed committed = Commit.commit(
                    new PosixStore(root), wanted, wanted.mayBeOlderThan(restored));
            answer.put("version", committed.version());
            answer.put("mine", committed.mine());
        } catch (SuppressRestartsException e) {
            answer.put("fatal", e.getCause().getMessage());
        }
        return answer;
    }

    private static ObjectNode append(Path root, long version) throws IOException {
        ObjectNode answer = Json.object();
        answer.put("created", new PosixStore(root).append(version, Json.ascii("java")));
        return answer;
    }

    /** What a fresh store answers about versions: head, and the manifest of each that is named. */
    private static ObjectNode versions(Path root, String[] args) throws IOException {
        Store store = new PosixStore(root);
        ObjectNode answer = Json.object();
        for (int i = 2; i < args.length; i++) {
            byte[] bytes = store.manifest(Long.parseLong(args[i]));
            answer.put(args[i],
                    bytes == null ? null : new String(bytes, StandardCharsets.US_ASCII));
        }
        answer.put("head", store.head(0));
        return answer;
    }

    /** Appends version after version, one per byte that it reads; answers each with who won. */
    private static ObjectNode race(Path root) throws IOException {
        Store store = new PosixStore(root);
        long version = 0;
        OUT.println("ready");
        while (System.in.read() >= 0) {
            version++;
            OUT.println(store.append(version, Json.ascii("java " + version)));
        }
        ObjectNode answer = Json.object();
        answer.put("head", store.head(0));
        return answer;
    }
}
