package strandline.flink;

import java.util.Map;
import java.util.OptionalLong;
import java.util.Set;
import java.util.concurrent.ConcurrentHashMap;
import org.apache.flink.connector.kafka.source.metrics.KafkaSourceReaderMetrics;
import org.apache.flink.kafka.shaded.org.apache.kafka.clients.consumer.KafkaConsumer;
import org.apache.flink.kafka.shaded.org.apache.kafka.common.TopicPartition;
import org.apache.flink.metrics.MetricGroup;
import org.apache.flink.metrics.groups.SourceReaderMetricGroup;

/**
 * The connector's metrics, and the lag of each partition: the log's end, as the newest answer of
 * the broker says, minus the position that a checkpoint would hold now.
 *
 * <p>The connector shows one sum over partitions, of what its consumer has not fetched. It calls
 * these methods from the fetcher's thread, the only one that may ask the consumer.
 */
final class LagMetrics extends KafkaSourceReaderMetrics {
    static final long UNKNOWN = -1;

    private final MetricGroup group;
    private final Map<Integer, Long> ends = new ConcurrentHashMap<>();
    private final Map<Integer, Long> positions = new ConcurrentHashMap<>();
    private final Set<Integer> shown = ConcurrentHashMap.newKeySet();
    /** The consumer made last, for whoever opens it: the connector keeps it to itself. */
    KafkaConsumer<?, ?> consumer;

    LagMetrics(SourceReaderMetricGroup group) {
        super(group);
        this.group = group.addGroup(EpochMetrics.GROUP);
    }

    /** Called when a fetcher makes its consumer. */
    @Override
    public void registerNumBytesIn(KafkaConsumer<?, ?> made) {
        super.registerNumBytesIn(made);
        consumer = made;
    }

    @Override
    public void registerTopicPartition(TopicPartition at) {
        super.registerTopicPartition(at);
        int partition = at.partition();
        if (shown.add(partition)) {
            group.addGroup("partition", Integer.toString(partition))
                    .gauge("lag", () -> lag(partition));
        }
    }

    /** Called for each record. */
    @Override
    public void recordCurrentOffset(TopicPartition at, long offset) {
        // Two lookups: once per poll is enough.
    }

    /** Called after each poll. */
    @Override
    public void updateNumBytesInCounter() {
        super.updateNumBytesInCounter();
        for (TopicPartition at : consumer.assignment()) {
            OptionalLong unread = consumer.currentLag(at);
            if (unread.isPresent()) {
                long position = consumer.position(at);
                super.recordCurrentOffset(at, position - 1);
                positions.putIfAbsent(at.partition(), position);
                ends.put(at.partition(), position + unread.getAsLong());
            }
        }
    }

    /** Called by the task: everything before this position has left the source. */
    void emitted(int partition, long position) {
        positions.put(partition, position);
    }

    long lag(int partition) {
        Long end = ends.get(partition);
        Long position = positions.get(partition);
        return end == null || position == null ? UNKNOWN : Math.max(0, end - position);
    }
}
