package strandline.flink;

import java.io.PrintStream;
import java.lang.management.ManagementFactory;
import java.nio.charset.StandardCharsets;
import java.util.ArrayList;
import java.util.Collections;
import java.util.HashMap;
import java.util.IdentityHashMap;
import java.util.List;
import java.util.Map;
import java.util.Properties;
import java.util.Set;
import java.util.TreeMap;
import java.util.stream.Collectors;
import javax.management.ObjectName;
import org.apache.flink.api.connector.source.SourceEvent;
import org.apache.flink.api.connector.source.SourceReaderContext;
import org.apache.flink.configuration.Configuration;
import org.apache.flink.connector.base.source.reader.RecordsWithSplitIds;
import org.apache.flink.connector.base.source.reader.splitreader.SplitReader;
import org.apache.flink.connector.base.source.reader.splitreader.SplitsAddition;
import org.apache.flink.connector.kafka.source.enumerator.KafkaSourceEnumerator.PartitionOffsetsRetrieverImpl;
import org.apache.flink.connector.kafka.source.split.KafkaPartitionSplit;
import org.apache.flink.kafka.shaded.org.apache.kafka.clients.admin.AdminClient;
import org.apache.flink.kafka.shaded.org.apache.kafka.common.TopicPartition;
import org.apache.flink.metrics.groups.SourceReaderMetricGroup;
import org.apache.flink.metrics.groups.UnregisteredMetricsGroup;
import org.apache.flink.runtime.execution.SuppressRestartsException;
import org.apache.flink.shaded.jackson2.com.fasterxml.jackson.databind.node.ObjectNode;
import org.apache.flink.util.UserCodeClassLoader;

/** Runs the source's parts against a real broker for a Python test, without a job around them. */
public final class SourceRunner {
    private static final PrintStream OUT =
            new PrintStream(System.out, true, StandardCharsets.US_ASCII);

    private static final Context CONTEXT = new Context();

    private SourceRunner() {}

    /**
     * open STORE BOOTSTRAP TOPIC SUBMISSION FROM PARTITIONS ONE_STREAM.. | (blocks | lag) BOOTSTRAP
     * TOPIC FROM:TO.. | fetchers BOOTSTRAP TOPIC COUNT
     */
    public static void main(String[] args) throws Exception {
        try {
            if (args[0].equals("open")) {
                List<String> oneStream = List.of(args).subList(7, args.length);
                JobSettings settings =
                        settings(args[1], args[2], args[3], args[4], args[5], oneStream);
                open(settings, Integer.parseInt(args[6]));
            } else if (args[0].equals("fetchers")) {
                JobSettings settings =
                        settings("/", args[1], args[2], "0".repeat(32), "earliest", List.of());
                fetchers(settings, Integer.parseInt(args[3]));
            } else {
                JobSettings settings =
                        settings("/", args[1], args[2], "0".repeat(32), "earliest", List.of());
                List<KafkaPartitionSplit> splits = new ArrayList<>();
                for (int i = 3; i < args.length; i++) {
                    String[] offsets = args[i].split(":");
                    TopicPartition partition = new TopicPartition(settings.topic(), i - 3);
                    splits.add(new KafkaPartitionSplit(
                            partition, Long.parseLong(offsets[0]), Long.parseLong(offsets[1])));
                }
                if (args[0].equals("blocks")) {
                    blocks(settings, splits);
                } else {
                    lag(settings, splits);
                }
            }
        } catch (SuppressRestartsException e) {
            ObjectNode fatal = Json.object();
            fatal.put("fatal", e.getCause().getMessage());
            OUT.println(fatal);
        }
    }

    private static JobSettings settings(
            String store,
            String bootstrap,
            String topic,
            String submission,
            String from,
            List<String> oneStream) {
        Map<String, String> properties = Map.of("bootstrap.servers", bootstrap);
        return TestSettings.of(store, submission, from, properties, topic, oneStream);
    }

    /** Prints the offsets that a job would start at. */
    private static void open(JobSettings settings, int count) {
        Properties properties = settings.kafkaProperties();
        try (AdminClient admin = AdminClient.create(properties)) {
            List<TopicPartition> partitions = new ArrayList<>();
            for (int partition = 0; partition < count; partition++) {
                partitions.add(new TopicPartition(settings.topic(), partition));
            }
            Map<Integer, Long> offsets = new TreeMap<>();
            new OpenOffsets(settings, false)
                    .getPartitionOffsets(partitions, new PartitionOffsetsRetrieverImpl(admin, null))
                    .forEach((partition, offset) -> offsets.put(partition.partition(), offset));
            OUT.println(Json.positions(offsets));
        }
    }

    /** Prints every block of the splits in hexadecimal, a line each, until all splits ended. */
    private static void blocks(JobSettings settings, List<KafkaPartitionSplit> splits)
            throws Exception {
        LagMetrics metrics = new LagMetrics(CONTEXT.metrics);
        try (BlockSplitReader reader = reader(settings, metrics)) {
            reader.handleSplitsChanges(new SplitsAddition<>(splits));
            Map<String, KafkaPartitionSplit> unfinished = new HashMap<>();
            splits.forEach(split -> unfinished.put(split.splitId(), split));
            while (!unfinished.isEmpty()) {
                RecordsWithSplitIds<Block> fetched = reader.fetch();
                while (fetched.nextSplit() != null) {
                    for (Block block = fetched.nextRecordFromSplit();
                            block != null;
                            block = fetched.nextRecordFromSplit()) {
                        OUT.println(java.util.HexFormat.of().formatHex(block.bytes()));
                    }
                }
                unfinished.keySet().removeAll(fetched.finishedSplits());
            }
        }
    }

    /** Prints each split's lag: before the first fetch, after it, and one event later. */
    private static void lag(JobSettings settings, List<KafkaPartitionSplit> splits)
            throws Exception {
        LagMetrics metrics = new LagMetrics(CONTEXT.metrics);
        try (BlockSplitReader reader = reader(settings, metrics)) {
            reader.handleSplitsChanges(new SplitsAddition<>(splits));
            lags(metrics, splits);
            for (KafkaPartitionSplit split : splits) {
                metrics.emitted(split.getPartition(), split.getStartingOffset());
            }
            reader.fetch();
            lags(metrics, splits);
            for (KafkaPartitionSplit split : splits) {
                metrics.emitted(split.getPartition(), split.getStartingOffset() + 1);
            }
            lags(metrics, splits);
        }
    }

    /** Prints how many readers as many fetchers get, and how many consumers outlive them. */
    private static void fetchers(JobSettings settings, int count) throws Exception {
        LagMetrics metrics = new LagMetrics(CONTEXT.metrics);
        BlockSplitReaders readers = new BlockSplitReaders(
                settings.kafkaProperties(), settings.topic(), CONTEXT, metrics);
        Set<Object> got = Collections.newSetFromMap(new IdentityHashMap<>());
        for (int i = 0; i < count; i++) {
            try (SplitReader<Block, KafkaPartitionSplit> reader = readers.get()) {
                got.add(reader);
            }
        }
        readers.close();
        for (Thread thread : Thread.getAllStackTraces().keySet()) {
            if (thread.getName().equals("Source Opener")) {
                thread.join(); // there is none if what it opened is closed
            }
        }
        ObjectName consumers = new ObjectName("kafka.consumer:type=app-info,*");
        Set<ObjectName> left =
                ManagementFactory.getPlatformMBeanServer().queryNames(consumers, null);
        OUT.println(got.size() + " " + left.size());
    }

    private static BlockSplitReader reader(JobSettings settings, LagMetrics metrics) {
        return new BlockSplitReader(
                settings.kafkaProperties(), settings.topic(), CONTEXT, metrics);
    }

    private static void lags(LagMetrics metrics, List<KafkaPartitionSplit> splits) {
        OUT.println(splits.stream()
                .map(split -> Long.toString(metrics.lag(split.getPartition())))
                .collect(Collectors.joining(" ")));
    }

    /** What a reader asks of its task: here there is none. */
    private static final class Context implements SourceReaderContext {
        private final SourceReaderMetricGroup metrics =
                UnregisteredMetricsGroup.createSourceReaderMetricGroup();

        @Override
        public SourceReaderMetricGroup metricGroup() {
            return metrics;
        }

        @Override
        public Configuration getConfiguration() {
            return new Configuration();
        }

        @Override
        public String getLocalHostName() {
            return "localhost";
        }

        @Override
        public int getIndexOfSubtask() {
            return 0;
        }

        @Override
        public void sendSplitRequest() {
            throw new IllegalStateException("splits are given");
        }

        @Override
        public void sendSourceEventToCoordinator(SourceEvent event) {
            throw new IllegalStateException("there is no coordinator");
        }

        @Override
        public UserCodeClassLoader getUserCodeClassLoader() {
            throw new IllegalStateException("nothing is loaded");
        }
    }
}
