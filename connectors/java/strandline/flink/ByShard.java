package strandline.flink;

import org.apache.flink.api.common.functions.Partitioner;
import org.apache.flink.api.java.functions.KeySelector;

/**
 * Sends what workers emit to the merger of the shard that it names.
 *
 * <p>A delta and the key of one have their shard's index in the byte after their kind, a START in
 * its JSON. A fatal error is nobody's in particular: any way leads to the sink.
 */
public final class ByShard implements Partitioner<Integer>, KeySelector<byte[], Integer> {
    private static final long serialVersionUID = 1L;

    @Override
    public Integer getKey(byte[] element) {
        return switch (element[0]) {
            case 'D', 'K' -> Byte.toUnsignedInt(element[1]);
            case 'S' -> (int) Json.integer(Element.content(element), "shard");
            case 'F' -> 0;
            default -> throw new IllegalStateException(
                    "a worker sent an element of kind " + (char) element[0]);
        };
    }

    @Override
    public int partition(Integer shard, int shards) {
        if (shard >= shards) {
            throw new IllegalStateException("shard " + shard + " of " + shards);
        }
        return shard;
    }
}
