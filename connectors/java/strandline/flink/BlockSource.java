package strandline.flink;

import java.util.Map;
import java.util.Properties;
import org.apache.flink.api.common.typeinfo.PrimitiveArrayTypeInfo;
import org.apache.flink.api.common.typeinfo.TypeInformation;
import org.apache.flink.api.connector.source.Boundedness;
import org.apache.flink.api.connector.source.Source;
import org.apache.flink.api.connector.source.SourceReader;
import org.apache.flink.api.connector.source.SourceReaderContext;
import org.apache.flink.api.connector.source.SplitEnumerator;
import org.apache.flink.api.connector.source.SplitEnumeratorContext;
import org.apache.flink.api.java.typeutils.ResultTypeQueryable;
import org.apache.flink.configuration.Configuration;
import org.apache.flink.connector.base.source.reader.RecordEmitter;
import org.apache.flink.connector.base.source.reader.SingleThreadMultiplexSourceReaderBase;
import org.apache.flink.connector.base.source.reader.SourceReaderOptions;
import org.apache.flink.connector.kafka.source.enumerator.KafkaSourceEnumState;
import org.apache.flink.connector.kafka.source.enumerator.KafkaSourceEnumStateSerializer;
import org.apache.flink.connector.kafka.source.enumerator.KafkaSourceEnumerator;
import org.apache.flink.connector.kafka.source.enumerator.initializer.NoStoppingOffsetsInitializer;
import org.apache.flink.connector.kafka.source.enumerator.initializer.OffsetsInitializer;
import org.apache.flink.connector.kafka.source.enumerator.subscriber.KafkaSubscriber;
import org.apache.flink.connector.kafka.source.split.KafkaPartitionSplit;
import org.apache.flink.connector.kafka.source.split.KafkaPartitionSplitSerializer;
import org.apache.flink.connector.kafka.source.split.KafkaPartitionSplitState;
import org.apache.flink.core.io.SimpleVersionedSerializer;

/**
 * A topic as a stream of blocks.
 *
 * <p>Enumerator, splits, checkpointed offsets and consumer are those of Flink's Kafka connector;
 * its classes are put together here and not by its builder, because the builder decides on resets
 * and group offsets, and a reset would skip events in silence. They are internal to the connector:
 * its version is pinned.
 */
public final class BlockSource
        implements Source<byte[], KafkaPartitionSplit, KafkaSourceEnumState>,
                ResultTypeQueryable<byte[]> {
    private static final long serialVersionUID = 1L;
    private static final int FETCHES_QUEUED = 4;

    private final JobSettings settings;

    public BlockSource(JobSettings settings) {
        this.settings = settings;
    }

    @Override
    public Boundedness getBoundedness() {
        return settings.bounded() ? Boundedness.BOUNDED : Boundedness.CONTINUOUS_UNBOUNDED;
    }

    @Override
    public SplitEnumerator<KafkaPartitionSplit, KafkaSourceEnumState> createEnumerator(
            SplitEnumeratorContext<KafkaPartitionSplit> context) {
        return new KafkaSourceEnumerator(
                subscriber(),
                new OpenOffsets(settings, false),
                stoppingOffsets(),
                settings.kafkaProperties(),
                context,
                getBoundedness());
    }

    /** Called after a restore only: the sink's writer appends the open, this side waits for it. */
    @Override
    public SplitEnumerator<KafkaPartitionSplit, KafkaSourceEnumState> restoreEnumerator(
            SplitEnumeratorContext<KafkaPartitionSplit> context, KafkaSourceEnumState state) {
        boolean complete = settings.bounded() && state.initialDiscoveryFinished();
        return new KafkaSourceEnumerator(
                subscriber(),
                new OpenOffsets(settings, true),
                stoppingOffsets(),
                settings.kafkaProperties(),
                context,
                getBoundedness(),
                state) {
            /**
             * The connector tells the readers of a bounded source that no split will follow only
             * after it has discovered new ones; restored, it would keep them waiting for ever.
             */
            @Override
            public void addReader(int subtask) {
                super.addReader(subtask);
                if (complete) {
                    context.signalNoMoreSplits(subtask);
                }
            }
        };
    }

    @Override
    public SourceReader<byte[], KafkaPartitionSplit> createReader(SourceReaderContext context) {
        Properties properties = settings.kafkaProperties();
        LagMetrics metrics = new LagMetrics(context.metricGroup());
        Configuration options = new Configuration();
        options.set(SourceReaderOptions.ELEMENT_QUEUE_CAPACITY, FETCHES_QUEUED);
        return new Reader(
                new BlockSplitReaders(properties, settings.topic(), context, metrics),
                metrics,
                options,
                context);
    }

    @Override
    public SimpleVersionedSerializer<KafkaPartitionSplit> getSplitSerializer() {
        return new KafkaPartitionSplitSerializer();
    }

    @Override
    public SimpleVersionedSerializer<KafkaSourceEnumState> getEnumeratorCheckpointSerializer() {
        return new KafkaSourceEnumStateSerializer();
    }

    @Override
    public TypeInformation<byte[]> getProducedType() {
        return PrimitiveArrayTypeInfo.BYTE_PRIMITIVE_ARRAY_TYPE_INFO;
    }

    private KafkaSubscriber subscriber() {
        return new PatientSubscriber(settings.topic());
    }

    private OffsetsInitializer stoppingOffsets() {
        return settings.bounded()
                ? OffsetsInitializer.latest()
                : new NoStoppingOffsetsInitializer();
    }

    /** Emits blocks; a split's offset in a checkpoint is the end of its last block emitted. */
    private static final class Reader
            extends SingleThreadMultiplexSourceReaderBase<
                    Block, byte[], KafkaPartitionSplit, KafkaPartitionSplitState> {
        private final BlockSplitReaders readers;
        private final LagMetrics metrics;

        Reader(
                BlockSplitReaders readers,
                LagMetrics metrics,
                Configuration options,
                SourceReaderContext context) {
            super(readers, emitter(metrics), options, context);
            this.readers = readers;
            this.metrics = metrics;
        }

        @Override
        public void close() throws Exception {
            try {
                super.close();
            } finally {
                readers.close();
            }
        }

        private static RecordEmitter<Block, byte[], KafkaPartitionSplitState> emitter(
                LagMetrics metrics) {
            return (block, output, split) -> {
                output.collect(block.bytes());
                split.setCurrentOffset(block.to());
                metrics.emitted(block.partition(), block.to());
            };
        }

        @Override
        protected void onSplitFinished(Map<String, KafkaPartitionSplitState> finished) {
            // Positions are the sink writer's: nothing to keep of a split that ended.
        }

        @Override
        protected KafkaPartitionSplitState initializedState(KafkaPartitionSplit split) {
            if (split.getStartingOffset() >= 0) {
                metrics.emitted(split.getPartition(), split.getStartingOffset());
            }
            return new KafkaPartitionSplitState(split);
        }

        @Override
        protected KafkaPartitionSplit toSplitType(String id, KafkaPartitionSplitState state) {
            return state.toKafkaPartitionSplit();
        }
    }
}
