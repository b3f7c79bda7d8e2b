package strandline.flink;

import java.io.BufferedReader;
import java.io.IOException;
import java.io.InputStreamReader;
import java.io.PrintStream;
import java.nio.charset.StandardCharsets;
import java.util.HexFormat;
import java.util.List;
import java.util.Map;
import org.apache.flink.runtime.execution.SuppressRestartsException;
import org.apache.flink.shaded.jackson2.com.fasterxml.jackson.databind.node.ArrayNode;
import org.apache.flink.shaded.jackson2.com.fasterxml.jackson.databind.node.ObjectNode;

/**
 * Drives the sink's writer for a Python test: a line of input is a step, a line of JSON its answer.
 *
 * <p>Steps: {@code fresh}, {@code restored CHECKPOINT STATE}, {@code write HEX}, {@code epoch} (what
 * a barrier takes from the writer), {@code find} (the open of a fresh start).
 */
public final class WriterRunner {
    private static final PrintStream OUT =
            new PrintStream(System.out, true, StandardCharsets.US_ASCII);

    private final JobSettings settings;
    private ModelStoreWriter writer;

    private WriterRunner(JobSettings settings) {
        this.settings = settings;
    }

    /** STORE SUBMISSION ONE_STREAM.. */
    public static void main(String[] args) throws Exception {
        WriterRunner runner = new WriterRunner(new JobSettings(
                args[0], "events", args[1], "earliest", false, false, Map.of(), "topic", false,
                List.of(args).subList(2, args.length)));
        BufferedReader in = new BufferedReader(
                new InputStreamReader(System.in, StandardCharsets.US_ASCII));
        for (String line = in.readLine(); line != null; line = in.readLine()) {
            OUT.println(Json.render(runner.answer(line.split(" ", 3))));
        }
    }

    private ObjectNode answer(String[] step) throws InterruptedException {
        ObjectNode answer = Json.object();
        try {
            step(step, answer);
        } catch (SuppressRestartsException e) {
            answer.put("fatal", e.getCause().getMessage());
        } catch (RuntimeException | IOException e) {
            answer.put("restart", e.toString());
        }
        return answer;
    }

    private void step(String[] step, ObjectNode answer) throws IOException, InterruptedException {
        switch (step[0]) {
            case "fresh" -> writer = ModelStoreWriter.fresh(settings);
            case "restored" -> {
                byte[] state = Json.ascii(step[2]);
                writer = ModelStoreWriter.restored(settings, Long.parseLong(step[1]),
                        List.of(new WriterStateSerializer().deserialize(1, state)));
            }
            case "write" -> writer.write(HexFormat.of().parseHex(step[1]), null);
            case "epoch" -> {
                ArrayNode epochs = answer.putArray("committables");
                writer.prepareCommit().forEach(epoch ->
                        epochs.add(new String(epoch.bytes(), StandardCharsets.US_ASCII)));
                ArrayNode states = answer.putArray("states");
                writer.snapshotState(1).forEach(state -> states.add(new String(
                        new WriterStateSerializer().serialize(state), StandardCharsets.US_ASCII)));
            }
            case "find" -> {
                Opens.Found found = Opens.find(Store.open(settings.storeUrl()), settings.stream(),
                        settings.freshKey());
                answer.put("version", found == null ? null : (Long) found.version());
            }
            default -> throw new IllegalArgumentException(step[0]);
        }
    }
}
