package strandline.flink;

import java.io.IOException;
import org.apache.flink.core.io.SimpleVersionedSerializer;

/** Writes a {@link Committable} as its own bytes: they are its identity. */
final class CommittableSerializer implements SimpleVersionedSerializer<Committable> {
    private static final int VERSION = 1;

    @Override
    public int getVersion() {
        return VERSION;
    }

    @Override
    public byte[] serialize(Committable committable) {
        return committable.bytes();
    }

    @Override
    public Committable deserialize(int version, byte[] bytes) throws IOException {
        return switch (version) {
            case 1 -> Committable.parse(bytes);
            default -> throw Fatal.because("refused",
                    "the savepoint's committable has version " + version + ", this release reads "
                            + VERSION + "; start again without the savepoint: the job goes on from"
                            + " the store's head");
        };
    }
}
