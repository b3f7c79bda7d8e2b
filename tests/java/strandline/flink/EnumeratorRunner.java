package strandline.flink;

import java.io.PrintStream;
import java.nio.charset.StandardCharsets;
import java.util.ArrayDeque;
import java.util.HexFormat;
import java.util.List;
import java.util.Map;
import java.util.Queue;
import java.util.TreeMap;
import java.util.concurrent.Callable;
import java.util.function.BiConsumer;
import org.apache.flink.api.connector.source.ReaderInfo;
import org.apache.flink.api.connector.source.SourceEvent;
import org.apache.flink.api.connector.source.SplitEnumerator;
import org.apache.flink.api.connector.source.SplitEnumeratorContext;
import org.apache.flink.api.connector.source.SplitsAssignment;
import org.apache.flink.connector.kafka.source.enumerator.KafkaSourceEnumState;
import org.apache.flink.connector.kafka.source.split.KafkaPartitionSplit;
import org.apache.flink.metrics.groups.SplitEnumeratorMetricGroup;
import org.apache.flink.metrics.groups.UnregisteredMetricsGroup;
import org.apache.flink.runtime.execution.SuppressRestartsException;
import org.apache.flink.shaded.jackson2.com.fasterxml.jackson.databind.node.ObjectNode;

/**
 * Runs the source's enumerator against a real broker, one step at a time: what Flink's coordinator
 * may do between two steps is done here at a moment that a running job does not let one choose.
 */
public final class EnumeratorRunner {
    private static final PrintStream OUT =
            new PrintStream(System.out, true, StandardCharsets.US_ASCII);
    private static final long CHECKPOINT = 1;

    private EnumeratorRunner() {}

    /**
     * undiscovered STORE BOOTSTRAP TOPIC SUBMISSION FROM [TIMEOUT_MS] | restored STORE BOOTSTRAP
     * TOPIC SUBMISSION ENUMERATOR WRITER
     */
    public static void main(String[] args) throws Exception {
        boolean undiscovered = args[0].equals("undiscovered");
        String from = undiscovered ? args[5] : "earliest";
        String timeoutMs = undiscovered && args.length > 6 ? args[6] : "60000";
        Map<String, String> properties = Map.of(
                "bootstrap.servers", args[2],
                "request.timeout.ms", timeoutMs,
                "default.api.timeout.ms", timeoutMs);
        JobSettings settings = TestSettings.of(
                args[1], args[4], from, properties, args[3], List.of());
        try {
            if (undiscovered) {
                undiscovered(settings);
            } else {
                restored(settings, HexFormat.of().parseHex(args[5]), args[6].getBytes(StandardCharsets.UTF_8));
            }
        } catch (SuppressRestartsException e) {
            ObjectNode fatal = Json.object();
            fatal.put("fatal", e.getCause().getMessage());
            OUT.println(fatal);
        }
    }

    /** Prints what a checkpoint takes after the open was made, before the coordinator is told. */
    private static void undiscovered(JobSettings settings) throws Exception {
        Coordinator coordinator = new Coordinator();
        BlockSource source = new BlockSource(settings);
        try (var enumerator = source.createEnumerator(coordinator)) {
            enumerator.start();
            coordinator.step().run();
            Runnable withheld = coordinator.step();
            byte[] state = source.getEnumeratorCheckpointSerializer()
                    .serialize(enumerator.snapshotState(CHECKPOINT));
            withheld.run();
            ObjectNode answer = Json.object();
            answer.put("state", HexFormat.of().formatHex(state));
            answer.set("offsets", Json.positions(coordinator.assigned));
            OUT.println(answer);
        }
    }

    /** Prints where partitions are read from after a restore of the checkpoint. */
    private static void restored(JobSettings settings, byte[] enumerator, byte[] writer)
            throws Exception {
        WriterState stood = new WriterStateSerializer().deserialize(1, writer);
        ModelStoreWriter.restored(settings, CHECKPOINT, List.of(stood)).close();
        Coordinator coordinator = new Coordinator();
        BlockSource source = new BlockSource(settings);
        var serializer = source.getEnumeratorCheckpointSerializer();
        KafkaSourceEnumState state =
                serializer.deserialize(serializer.getVersion(), enumerator);
        try (SplitEnumerator<KafkaPartitionSplit, KafkaSourceEnumState> restored =
                source.restoreEnumerator(coordinator, state)) {
            restored.start();
            coordinator.step().run();
            coordinator.step().run();
            OUT.println(Json.positions(coordinator.assigned));
        }
    }

    /** One reader, and what the enumerator asks for, done when it is told to. */
    private static final class Coordinator implements SplitEnumeratorContext<KafkaPartitionSplit> {
        final TreeMap<Integer, Long> assigned = new TreeMap<>();
        private final Queue<Callable<Runnable>> asked = new ArrayDeque<>();

        /** Does the next call of the worker thread; the coordinator's answer to it is returned. */
        Runnable step() throws Exception {
            return asked.remove().call();
        }

        @Override
        public <T> void callAsync(Callable<T> call, BiConsumer<T, Throwable> handler) {
            asked.add(() -> {
                T answer = call.call();
                return () -> handler.accept(answer, null);
            });
        }

        @Override
        public <T> void callAsync(
                Callable<T> call, BiConsumer<T, Throwable> handler, long delayMs, long periodMs) {
            callAsync(call, handler);
        }

        @Override
        public void assignSplits(SplitsAssignment<KafkaPartitionSplit> assignment) {
            assignment.assignment().get(0).forEach(split ->
                    assigned.put(split.getPartition(), split.getStartingOffset()));
        }

        @Override
        public Map<Integer, ReaderInfo> registeredReaders() {
            return Map.of(0, new ReaderInfo(0, "localhost"));
        }

        @Override
        public int currentParallelism() {
            return 1;
        }

        @Override
        public SplitEnumeratorMetricGroup metricGroup() {
            return UnregisteredMetricsGroup.createSplitEnumeratorMetricGroup();
        }

        @Override
        public void signalNoMoreSplits(int subtask) {
            throw new IllegalStateException("the source is not bounded");
        }

        @Override
        public void runInCoordinatorThread(Runnable action) {
            action.run();
        }

        @Override
        public void sendEventToSourceReader(int subtask, SourceEvent event) {
            throw new IllegalStateException("a reader is sent nothing but splits");
        }
    }
}
