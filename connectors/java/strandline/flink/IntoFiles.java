package strandline.flink;

import org.apache.flink.streaming.api.operators.AbstractStreamOperator;
import org.apache.flink.streaming.api.operators.OneInputStreamOperator;
import org.apache.flink.streaming.runtime.streamrecord.StreamRecord;

/**
 * Before a Python operator in a process of its own: large elements go there as files, see {@link
 * ElementFiles}, and only their handles through gRPC.
 *
 * <p>Must be chained to the Python operator. That one waits after every bundle until Python has
 * taken all of it, so at most a bundle of elements is in files, and nothing overtakes a barrier.
 */
public final class IntoFiles extends AbstractStreamOperator<byte[]>
        implements OneInputStreamOperator<byte[], byte[]> {
    private static final long serialVersionUID = 1L;

    private transient ElementFiles files;

    @Override
    public void open() throws Exception {
        super.open();
        files = ElementFiles.make();
    }

    @Override
    public void processElement(StreamRecord<byte[]> element) {
        output.collect(element.replace(files.handOver(element.getValue())));
    }

    @Override
    public void close() throws Exception {
        if (files != null) {
            files.close();
        }
        super.close();
    }
}
