package strandline.flink;

import java.io.IOException;
import java.util.Collection;
import org.apache.flink.api.connector.sink2.Committer;
import org.apache.flink.api.connector.sink2.CommitterInitContext;
import org.apache.flink.api.connector.sink2.Sink;
import org.apache.flink.api.connector.sink2.SinkWriter;
import org.apache.flink.api.connector.sink2.StatefulSinkWriter;
import org.apache.flink.api.connector.sink2.SupportsCommitter;
import org.apache.flink.api.connector.sink2.SupportsWriterState;
import org.apache.flink.api.connector.sink2.WriterInitContext;
import org.apache.flink.core.io.SimpleVersionedSerializer;

/**
 * The end of a job: every epoch that was read becomes one version of the model.
 *
 * <p>Assumes parallelism 1, and that Flink chains writer and committer: a chain restores from its
 * tail, so what the restored checkpoint holds is committed again before the writer looks at head.
 */
public final class ModelStoreSink
        implements Sink<byte[]>,
                SupportsCommitter<Committable>,
                SupportsWriterState<byte[], WriterState> {
    private static final long serialVersionUID = 1L;

    private final JobSettings settings;

    public ModelStoreSink(JobSettings settings) {
        this.settings = settings;
    }

    @Override
    public SinkWriter<byte[]> createWriter(WriterInitContext context) {
        return ModelStoreWriter.fresh(settings);
    }

    @Override
    public StatefulSinkWriter<byte[], WriterState> restoreWriter(
            WriterInitContext context, Collection<WriterState> recovered) throws IOException {
        return ModelStoreWriter.restored(
                settings, context.getRestoredCheckpointId().getAsLong(), recovered);
    }

    @Override
    public SimpleVersionedSerializer<WriterState> getWriterStateSerializer() {
        return new WriterStateSerializer();
    }

    @Override
    public Committer<Committable> createCommitter(CommitterInitContext context) {
        return new ModelStoreCommitter(
                settings,
                new EpochMetrics(context.metricGroup()),
                context.getRestoredCheckpointId());
    }

    @Override
    public SimpleVersionedSerializer<Committable> getCommittableSerializer() {
        return new CommittableSerializer();
    }
}
