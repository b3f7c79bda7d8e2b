package strandline.flink;

import java.io.IOException;
import org.apache.flink.core.io.SimpleVersionedSerializer;
import org.apache.flink.shaded.jackson2.com.fasterxml.jackson.databind.node.ObjectNode;

/** A {@link WriterState} as JSON. Old versions stay readable: savepoints outlive releases. */
final class WriterStateSerializer implements SimpleVersionedSerializer<WriterState> {
    private static final int VERSION = 1;

    @Override
    public int getVersion() {
        return VERSION;
    }

    @Override
    public byte[] serialize(WriterState state) {
        ObjectNode node = Json.object();
        node.set("positions", Json.positions(state.positions()));
        node.put("run", state.run());
        return Json.bytes(node);
    }

    @Override
    public WriterState deserialize(int version, byte[] bytes) throws IOException {
        return switch (version) {
            case 1 -> {
                ObjectNode node = Json.parse(bytes);
                yield new WriterState(Json.text(node, "run"), Json.positions(node, "positions"));
            }
            default -> throw Fatal.because("refused",
                    "the savepoint's writer state has version " + version + ", this release reads "
                            + VERSION + "; start again without the savepoint: the job goes on from"
                            + " the store's head");
        };
    }
}
