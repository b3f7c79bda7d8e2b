package strandline.flink;

import java.util.Properties;
import java.util.function.Supplier;
import org.apache.flink.api.connector.source.SourceReaderContext;
import org.apache.flink.connector.base.source.reader.splitreader.SplitReader;
import org.apache.flink.connector.kafka.source.split.KafkaPartitionSplit;

/**
 * Makes the reader of a task's fetcher, the first one ahead: its consumer opens while Python starts
 * in the same task and Flink lets no split come. A fetcher after an idle one gets a new reader.
 */
final class BlockSplitReaders implements Supplier<SplitReader<Block, KafkaPartitionSplit>> {
    private final Properties properties;
    private final String topic;
    private final SourceReaderContext context;
    private final LagMetrics metrics;
    private BlockSplitReader ahead;

    BlockSplitReaders(
            Properties properties, String topic, SourceReaderContext context, LagMetrics metrics) {
        this.properties = properties;
        this.topic = topic;
        this.context = context;
        this.metrics = metrics;
        this.ahead = new BlockSplitReader(properties, topic, context, metrics);
    }

    /** Called by the task when a split comes and no fetcher runs. */
    @Override
    public SplitReader<Block, KafkaPartitionSplit> get() {
        if (ahead == null) {
            return new BlockSplitReader(properties, topic, context, metrics);
        }
        BlockSplitReader first = ahead;
        ahead = null;
        return first;
    }

    /** Closes what no split came for. */
    void close() throws Exception {
        if (ahead != null) {
            ahead.close();
        }
    }
}
