package strandline.flink;

import org.apache.flink.shaded.jackson2.com.fasterxml.jackson.databind.node.ObjectNode;
import org.apache.flink.streaming.api.operators.AbstractStreamOperator;
import org.apache.flink.streaming.api.operators.BoundedOneInput;
import org.apache.flink.streaming.api.operators.OneInputStreamOperator;
import org.apache.flink.streaming.runtime.streamrecord.StreamRecord;

/**
 * Tells what is behind it where an epoch ends: CUT, sent at its own aligned barrier. In front of
 * every merger, and once more where their shards come together.
 *
 * <p>All that came before the CUT belongs to the epoch or an earlier one. MARKs cannot tell that:
 * after an aborted checkpoint some workers have sent theirs and others never will. Nor can the CUTs
 * of single shards: after an aborted checkpoint some have cut and others never will.
 *
 * <p>Assumes aligned checkpoints, and what reads the CUTs chained behind it.
 */
public final class EpochCut extends AbstractStreamOperator<byte[]>
        implements OneInputStreamOperator<byte[], byte[]>, BoundedOneInput {
    private static final long serialVersionUID = 1L;

    private transient boolean ended;

    @Override
    public void processElement(StreamRecord<byte[]> element) {
        output.collect(element);
    }

    @Override
    public void prepareSnapshotPreBarrier(long checkpoint) {
        if (!ended) {
            cut(checkpoint);
        }
    }

    @Override
    public void endInput() {
        cut(EpochMarker.END_OF_INPUT);
        ended = true;
    }

    private void cut(long checkpoint) {
        ObjectNode cut = Json.object();
        cut.put("checkpoint", checkpoint);
        output.collect(new StreamRecord<>(Element.of('C', cut)));
    }
}
