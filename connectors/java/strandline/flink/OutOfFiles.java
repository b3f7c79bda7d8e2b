package strandline.flink;

import java.io.IOException;
import org.apache.flink.streaming.api.operators.AbstractStreamOperator;
import org.apache.flink.streaming.api.operators.OneInputStreamOperator;
import org.apache.flink.streaming.runtime.streamrecord.StreamRecord;

/**
 * Behind a Python operator in a process of its own: takes what it handed over as files. Must be
 * chained to it.
 */
public final class OutOfFiles extends AbstractStreamOperator<byte[]>
        implements OneInputStreamOperator<byte[], byte[]> {
    private static final long serialVersionUID = 1L;

    @Override
    public void processElement(StreamRecord<byte[]> element) throws IOException {
        output.collect(element.replace(ElementFiles.take(element.getValue())));
    }
}
