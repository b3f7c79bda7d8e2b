package strandline.flink;

import java.io.IOException;
import java.time.Duration;
import java.util.ArrayDeque;
import java.util.ArrayList;
import java.util.Collection;
import java.util.HashMap;
import java.util.List;
import java.util.Map;
import java.util.Properties;
import java.util.Queue;
import java.util.Set;
import java.util.concurrent.CompletableFuture;
import org.apache.flink.api.connector.source.SourceReaderContext;
import org.apache.flink.connector.base.source.reader.RecordsWithSplitIds;
import org.apache.flink.connector.base.source.reader.splitreader.SplitReader;
import org.apache.flink.connector.base.source.reader.splitreader.SplitsChange;
import org.apache.flink.connector.kafka.source.reader.KafkaPartitionSplitReader;
import org.apache.flink.connector.kafka.source.split.KafkaPartitionSplit;
import org.apache.flink.kafka.shaded.org.apache.kafka.clients.consumer.ConsumerRecord;
import org.apache.flink.kafka.shaded.org.apache.kafka.clients.consumer.KafkaConsumer;
import org.apache.flink.kafka.shaded.org.apache.kafka.clients.consumer.OffsetOutOfRangeException;
import org.apache.flink.kafka.shaded.org.apache.kafka.common.KafkaException;
import org.apache.flink.kafka.shaded.org.apache.kafka.common.TopicPartition;
import org.slf4j.Logger;
import org.slf4j.LoggerFactory;

/**
 * Joins the records of each fetch into blocks, in the fetcher's thread, so that neither Flink's
 * task thread nor Python works per record.
 *
 * <p>A block starts where the partition's block before it ended, the first one at the split's
 * offset. A split that starts at "earliest" (a partition discovered while the job runs) has no
 * offset yet: its first block starts at its first event. Offsets without events, left by compaction
 * and by transactions, so belong to the block after them.
 *
 * <p>Values are views of the consumer's buffers ({@link JobSettings#kafkaProperties}), whatever the
 * connector's types say: its reader never looks at them.
 *
 * <p>Assumes that Flink gives one reader a split once, and that its inner reader returns the
 * records of a partition in order of offset and none at or after the split's stopping offset.
 */
final class BlockSplitReader implements SplitReader<Block, KafkaPartitionSplit> {
    static final int BLOCK_BYTES = 2 << 20;

    private static final Logger LOGGER = LoggerFactory.getLogger(BlockSplitReader.class);

    /** How long connecting may take before the fetcher gets the consumer as it is. */
    private static final Duration CONNECT = Duration.ofSeconds(1);

    private final CompletableFuture<Void> opening;
    private final Map<String, Long> next = new HashMap<>();
    private volatile KafkaPartitionSplitReader inner; // from when opening is done

    /** Opens the consumer in a thread of its own; {@link #handleSplitsChanges} waits for it. */
    BlockSplitReader(
            Properties properties, String topic, SourceReaderContext context, LagMetrics metrics) {
        opening = CompletableFuture.runAsync(
                () -> {
                    inner = new KafkaPartitionSplitReader(properties, context, metrics);
                    connect(metrics.consumer, topic);
                },
                task -> new Thread(task, "Source Opener").start());
    }

    /**
     * Meets the topic's brokers before there is anything to fetch: a JVM that has just started
     * takes longer to load what that needs than the brokers to answer.
     */
    private static void connect(KafkaConsumer<?, ?> consumer, String topic) {
        try {
            consumer.endOffsets(
                    consumer.partitionsFor(topic, CONNECT).stream()
                            .map(at -> new TopicPartition(at.topic(), at.partition()))
                            .toList(),
                    CONNECT);
        } catch (KafkaException e) {
            LOGGER.info("not connected ahead of the first fetch: {}", e.toString());
        }
    }

    @Override
    public RecordsWithSplitIds<Block> fetch() throws IOException {
        RecordsWithSplitIds<ConsumerRecord<byte[], byte[]>> fetched;
        try {
            fetched = inner.fetch();
        } catch (OffsetOutOfRangeException e) {
            throw Fatal.because("retention",
                    "the topic no longer holds the offsets " + e.offsetOutOfRangePartitions()
                            + " that this job must read next: they passed the topic's retention,"
                            + " or its log was cut off. Nothing was skipped. To go on without the"
                            + " lost events, start a new store; then give the topic a longer"
                            + " retention than the longest pause of its readers");
        }
        Queue<Batch> batches = new ArrayDeque<>();
        for (String split = fetched.nextSplit(); split != null; split = fetched.nextSplit()) {
            batches.add(new Batch(split, join(split, fetched)));
        }
        Set<String> finished = Set.copyOf(fetched.finishedSplits());
        next.keySet().removeAll(finished);
        fetched.recycle();
        return new Batches(batches, finished);
    }

    @Override
    public void handleSplitsChanges(SplitsChange<KafkaPartitionSplit> change) {
        for (KafkaPartitionSplit split : change.splits()) {
            if (split.getStartingOffset() >= 0) {
                next.put(split.splitId(), split.getStartingOffset());
            }
        }
        opening.join(); // a fetcher's first call
        inner.handleSplitsChanges(change);
    }

    @Override
    public void wakeUp() {
        inner.wakeUp();
    }

    @Override
    public void pauseOrResumeSplits(
            Collection<KafkaPartitionSplit> pause, Collection<KafkaPartitionSplit> resume) {
        inner.pauseOrResumeSplits(pause, resume);
    }

    @Override
    public void close() throws Exception {
        opening.handle((done, failed) -> null).join();
        if (inner != null) { // else there is no consumer, and whoever needed it was told
            inner.close();
        }
    }

    /** Blocks of the fetch's current split. One event may be larger than a block should be. */
    private Queue<Block> join(
            String split, RecordsWithSplitIds<ConsumerRecord<byte[], byte[]>> fetched) {
        Queue<Block> blocks = new ArrayDeque<>();
        List<ConsumerRecord<?, ?>> open = new ArrayList<>();
        int payload = 0;
        for (ConsumerRecord<?, ?> record = fetched.nextRecordFromSplit();
                record != null;
                record = fetched.nextRecordFromSplit()) {
            int length = Math.max(0, record.serializedValueSize()); // -1: no value
            if (!open.isEmpty() && payload + length > BLOCK_BYTES) {
                blocks.add(close(split, open, payload));
                open.clear();
                payload = 0;
            }
            open.add(record);
            payload += length;
        }
        if (!open.isEmpty()) {
            blocks.add(close(split, open, payload));
        }
        return blocks;
    }

    private Block close(String split, List<ConsumerRecord<?, ?>> open, int payload) {
        long from = next.getOrDefault(split, open.get(0).offset());
        Block block = Block.join(open.get(0).partition(), from, open, payload);
        next.put(split, block.to());
        return block;
    }

    private record Batch(String split, Queue<Block> blocks) {}

    /** What one fetch gave, handed from the fetcher's to the task's thread. */
    private static final class Batches implements RecordsWithSplitIds<Block> {
        private final Queue<Batch> batches;
        private final Set<String> finished;
        private Queue<Block> current = new ArrayDeque<>();

        Batches(Queue<Batch> batches, Set<String> finished) {
            this.batches = batches;
            this.finished = finished;
        }

        @Override
        public String nextSplit() {
            Batch batch = batches.poll();
            current = batch == null ? new ArrayDeque<>() : batch.blocks();
            return batch == null ? null : batch.split();
        }

        @Override
        public Block nextRecordFromSplit() {
            return current.poll();
        }

        @Override
        public Set<String> finishedSplits() {
            return finished;
        }
    }
}
