package strandline.flink;

import java.io.BufferedReader;
import java.io.IOException;
import java.io.InputStreamReader;
import java.io.PrintStream;
import java.nio.charset.StandardCharsets;
import java.util.HexFormat;
import java.util.List;
import java.util.Map;
import java.util.OptionalLong;
import java.util.concurrent.atomic.AtomicReference;
import org.apache.flink.api.connector.sink2.Committer;
import org.apache.flink.metrics.groups.UnregisteredMetricsGroup;
import org.apache.flink.runtime.execution.SuppressRestartsException;
import org.apache.flink.shaded.jackson2.com.fasterxml.jackson.databind.node.ArrayNode;
import org.apache.flink.shaded.jackson2.com.fasterxml.jackson.databind.node.ObjectNode;

/**
 * Drives the sink's writer for a Python test: a line of input is a step, a line of JSON its answer.
 *
 * <p>Steps: {@code fresh}, {@code restored CHECKPOINT STATE}, {@code write HEX}, {@code epoch} (what
 * a barrier takes from the writer), {@code commit RESTORED HEX}, {@code cancel}
 * (the same, of a task that is cancelled meanwhile), {@code find} (the open of a fresh start).
 */
public final class WriterRunner {
    private static final PrintStream OUT =
            new PrintStream(System.out, true, StandardCharsets.US_ASCII);

    private static final long CANCELLED_AFTER_MS = 500;
    private static final long CANCELLED_WITHIN_MS = 10_000;

    private final JobSettings settings;
    private ModelStoreWriter writer;

    private WriterRunner(JobSettings settings) {
        this.settings = settings;
    }

    /** STORE SUBMISSION ONE_STREAM.. */
    public static void main(String[] args) throws Exception {
        WriterRunner runner = new WriterRunner(TestSettings.of(
                args[0], args[1], "earliest", Map.of(), "topic",
                List.of(args).subList(2, args.length)));
        BufferedReader in = new BufferedReader(
                new InputStreamReader(System.in, StandardCharsets.US_ASCII));
        for (String line = in.readLine(); line != null; line = in.readLine()) {
            OUT.println(runner.answer(line.split(" ", 3)));
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
                byte[] state = step[2].getBytes(StandardCharsets.UTF_8);
                writer = ModelStoreWriter.restored(settings, Long.parseLong(step[1]),
                        List.of(new WriterStateSerializer().deserialize(1, state)));
            }
            case "write" -> writer.write(HexFormat.of().parseHex(step[1]), null);
            case "epoch" -> {
                ArrayNode epochs = answer.putArray("committables");
                writer.prepareCommit().forEach(epoch ->
                        epochs.add(HexFormat.of().formatHex(epoch.bytes())));
                ArrayNode states = answer.putArray("states");
                writer.snapshotState(1).forEach(state -> states.add(new String(
                        new WriterStateSerializer().serialize(state), StandardCharsets.US_ASCII)));
            }
            case "commit" -> commit(step, answer);
            case "cancel" -> cancel(step, answer);
            case "find" -> {
                try (StreamCalls store = new StreamCalls(settings)) {
                    StreamCalls.Open found = store.findOpen(null);
                    answer.put("version", found == null ? null : (Long) found.version());
                }
            }
            default -> throw new IllegalArgumentException(step[0]);
        }
    }

    /** {@code commit RESTORED HEX}: through the committer, with the checkpoint restored from or -. */
    private void commit(String[] step, ObjectNode answer) throws IOException, InterruptedException {
        byte[] bytes = HexFormat.of().parseHex(step[2]);
        OptionalLong restored = step[1].equals("-")
                ? OptionalLong.empty()
                : OptionalLong.of(Long.parseLong(step[1]));
        Request request = new Request(new CommittableSerializer().deserialize(1, bytes));
        EpochMetrics metrics = new EpochMetrics(new UnregisteredMetricsGroup());
        try (ModelStoreCommitter committer =
                new ModelStoreCommitter(settings, metrics, restored)) {
            committer.commit(List.of(request));
        }
        answer.put("mine", request.known);
    }

    /** {@code cancel RESTORED HEX}: a commit whose task is cancelled while it asks the agent. */
    private void cancel(String[] step, ObjectNode answer) throws InterruptedException {
        AtomicReference<String> ended = new AtomicReference<>("committed");
        Thread task = new Thread(() -> {
            try {
                commit(step, Json.object());
            } catch (InterruptedException e) {
                ended.set("interrupted");
            } catch (IOException e) {
                ended.set(e.toString());
            }
        });
        task.start();
        Thread.sleep(CANCELLED_AFTER_MS);
        task.interrupt();
        task.join(CANCELLED_WITHIN_MS);
        answer.put("ended", task.isAlive() ? "never" : ended.get());
    }

    /** What Flink asks a committer for. */
    private static final class Request implements Committer.CommitRequest<Committable> {
        private final Committable wanted;
        private boolean known;

        Request(Committable wanted) {
            this.wanted = wanted;
        }

        @Override
        public Committable getCommittable() {
            return wanted;
        }

        @Override
        public int getNumberOfRetries() {
            return 0;
        }

        @Override
        public void signalAlreadyCommitted() {
            known = true;
        }

        @Override
        public void signalFailedWithKnownReason(Throwable reason) {
            throw new IllegalStateException(reason);
        }

        @Override
        public void signalFailedWithUnknownReason(Throwable reason) {
            throw new IllegalStateException(reason);
        }

        @Override
        public void retryLater() {
            throw new IllegalStateException("a committer waits by itself");
        }

        @Override
        public void updateAndRetryLater(Committable other) {
            throw new IllegalStateException("a committer waits by itself");
        }
    }
}
