package strandline.flink;

import java.util.Collection;
import java.util.HashMap;
import java.util.Map;
import java.util.TreeMap;
import java.util.TreeSet;
import java.util.function.Function;
import java.util.stream.Collectors;
import org.apache.flink.connector.kafka.source.enumerator.initializer.OffsetsInitializer;
import org.apache.flink.connector.kafka.source.split.KafkaPartitionSplit;
import org.apache.flink.kafka.shaded.org.apache.kafka.clients.consumer.OffsetAndTimestamp;
import org.apache.flink.kafka.shaded.org.apache.kafka.clients.consumer.OffsetResetStrategy;
import org.apache.flink.kafka.shaded.org.apache.kafka.common.TopicPartition;
import org.apache.flink.util.FlinkRuntimeException;
import org.slf4j.Logger;
import org.slf4j.LoggerFactory;

/**
 * Where the partitions that stand at a job's start are read from: the positions of an open.
 *
 * <p>The enumerator calls it in a worker thread, before any split exists. On a fresh start it
 * appends the open, or finds the one it appended before a failover. After a restore it appends
 * nothing: it is asked only if the restored checkpoint was triggered before partitions were
 * discovered, so nothing had been read, and it waits for whatever open its submission has.
 *
 * <p>Partitions that appear later never come here: Flink reads them from their earliest offset.
 */
final class OpenOffsets implements OffsetsInitializer {
    private static final long serialVersionUID = 1L;
    private static final Logger LOG = LoggerFactory.getLogger(OpenOffsets.class);
    private static final long POLL_MS = 100;

    private final JobSettings settings;
    private final boolean restored;

    OpenOffsets(JobSettings settings, boolean restored) {
        this.settings = settings;
        this.restored = restored;
    }

    @Override
    public Map<TopicPartition, Long> getPartitionOffsets(
            Collection<TopicPartition> partitions, PartitionOffsetsRetriever log) {
        try (StreamCalls store = new StreamCalls(settings)) {
            StreamCalls.Open open = restored ? await(store) : append(store, partitions, log);
            LOG.info("start stream={} run={} version={} positions={}", settings.stream(),
                    open.run(), open.version(), open.positions());
            Map<TopicPartition, Long> offsets = new HashMap<>();
            for (TopicPartition partition : partitions) {
                Long position = open.positions().get(partition.partition());
                offsets.put(partition,
                        position == null ? KafkaPartitionSplit.EARLIEST_OFFSET : position);
            }
            return offsets;
        } catch (InterruptedException e) {
            Thread.currentThread().interrupt();
            throw new FlinkRuntimeException("interrupted while opening the stream", e);
        }
    }

    /** Never used: our readers set their own, see {@link JobSettings#kafkaProperties}. */
    @Override
    public OffsetResetStrategy getAutoOffsetResetStrategy() {
        return OffsetResetStrategy.NONE;
    }

    private StreamCalls.Open await(StreamCalls store) throws InterruptedException {
        return Retry.untilThere(
                "an open of submission " + settings.submission(), POLL_MS, store::newestOpen);
    }

    private StreamCalls.Open append(
            StreamCalls store, Collection<TopicPartition> partitions, PartitionOffsetsRetriever log)
            throws InterruptedException {
        TreeMap<String, String> source = TopicSource.of(settings);
        Retry.untilSeen(store, settings, "the JobManager");
        boolean stands = Retry.untilAnswered("open of " + settings.stream(),
                () -> store.findOpen(null)) != null;
        TreeMap<Integer, Long> positions =
                stands ? new TreeMap<>() : startOf(store, source, partitions, log);
        return Retry.untilAnswered("open of " + settings.stream(),
                () -> store.open(settings.submission(), null, positions, source));
    }

    /** Where partitions start; those that the store knows are checked against the topic. */
    private TreeMap<Integer, Long> startOf(
            StreamCalls store,
            TreeMap<String, String> source,
            Collection<TopicPartition> partitions,
            PartitionOffsetsRetriever log)
            throws InterruptedException {
        StreamCalls.Stand now = Retry.untilAnswered("head", store::look);
        // Asked after head was read: another run's job may still move both on.
        var first = offsets(log.beginningOffsets(partitions), offset -> offset);
        var end = offsets(log.endOffsets(partitions), offset -> offset);
        return now.isKnown()
                ? knownStream(now, source, first, end)
                : newStream(partitions, log, first, end);
    }

    private TreeMap<Integer, Long> newStream(
            Collection<TopicPartition> partitions,
            PartitionOffsetsRetriever log,
            Map<Integer, Long> first,
            Map<Integer, Long> end) {
        if (settings.from().equals("earliest")) {
            return new TreeMap<>(first);
        }
        TreeMap<Integer, Long> positions = new TreeMap<>(end);
        if (!settings.from().equals("latest")) {
            long timeMs = Long.parseLong(settings.from());
            Map<TopicPartition, Long> wanted = partitions.stream()
                    .collect(Collectors.toMap(partition -> partition, partition -> timeMs));
            // A partition without an event at or after the time is read from its end.
            positions.putAll(offsets(log.offsetsForTimes(wanted), OffsetAndTimestamp::offset));
        }
        return positions;
    }

    private TreeMap<Integer, Long> knownStream(
            StreamCalls.Stand now,
            TreeMap<String, String> source,
            Map<Integer, Long> first,
            Map<Integer, Long> end) {
        TopicSource.requireSame(settings, now, source);
        TreeSet<Integer> missing = new TreeSet<>(now.positions().keySet());
        missing.removeAll(first.keySet());
        if (!missing.isEmpty()) {
            throw Fatal.because("stream_unfit", String.format(
                    "stream %s: version %d holds events of the partitions %s, but topic %s has only"
                            + " %s; a topic does not lose partitions, so check bootstrap.servers"
                            + " and the topic's name",
                    settings.stream(), now.head(), missing, settings.topic(),
                    new TreeSet<>(first.keySet())));
        }
        now.positions().forEach((partition, position) -> {
            if (first.get(partition) > position) {
                throw Fatal.because("retention", String.format(
                        "stream %s: version %d goes on at offset %d of %s-%d, but the topic now"
                                + " starts at %d: %d offsets passed its retention unread. To go on"
                                + " without them, start a new store; then give the topic a longer"
                                + " retention",
                        settings.stream(), now.head(), position, settings.topic(), partition,
                        first.get(partition), first.get(partition) - position));
            }
            if (end.get(partition) < position) {
                throw Fatal.because("source_behind", String.format(
                        "stream %s: version %d goes on at offset %d of %s-%d, but the topic ends at"
                                + " %d: its log was cut off or restored from an older copy. Start a"
                                + " new store, or bring the topic's events back",
                        settings.stream(), now.head(), position, settings.topic(), partition,
                        end.get(partition)));
            }
        });
        TreeMap<Integer, Long> positions = new TreeMap<>(first);
        positions.putAll(now.positions());
        return positions;
    }

    private static <T> Map<Integer, Long> offsets(
            Map<TopicPartition, T> found, Function<T, Long> offset) {
        Map<Integer, Long> offsets = new TreeMap<>();
        found.forEach((partition, value) -> {
            if (value != null) {
                offsets.put(partition.partition(), offset.apply(value));
            }
        });
        return offsets;
    }
}
