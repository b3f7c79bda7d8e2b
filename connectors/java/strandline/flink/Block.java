package strandline.flink;

import java.nio.ByteBuffer;
import java.nio.ByteOrder;
import java.util.List;
import org.apache.flink.kafka.shaded.org.apache.kafka.clients.consumer.ConsumerRecord;

/**
 * Events of one partition in one array of bytes, covering the offsets [from, to).
 *
 * <p>Little endian: {@code 'B'}, three zero bytes, i32 partition, i64 from, i64 to, i32 count, i32
 * zero, i64 earliest and i64 latest event time in ms; then i64 offsets[count], i32 lengths[count]
 * (-1: no value), and the values one after the other. Keys and headers are not carried.
 */
record Block(int partition, long from, long to, byte[] bytes) {
    private static final int HEADER_BYTES = 48;

    /**
     * Joins at least one record, whose values are {@link ByteBuffer}s over an array or null, of
     * {@code payload} bytes together; offsets before the first one's belong to the block as a hole.
     */
    static Block join(int partition, long from, List<ConsumerRecord<?, ?>> records, int payload) {
        int lengthsAt = HEADER_BYTES + 8 * records.size();
        int valuesAt = lengthsAt + 4 * records.size();
        byte[] bytes = new byte[Math.addExact(valuesAt, payload)];
        ByteBuffer out = ByteBuffer.wrap(bytes).order(ByteOrder.LITTLE_ENDIAN);
        long earliest = Long.MAX_VALUE;
        long latest = 0;
        int filled = valuesAt;
        for (int i = 0; i < records.size(); i++) {
            ConsumerRecord<?, ?> record = records.get(i);
            long time = Math.max(0, record.timestamp()); // -1: the producer gave none
            earliest = Math.min(earliest, time);
            latest = Math.max(latest, time);
            out.putLong(HEADER_BYTES + 8 * i, record.offset());
            ByteBuffer value = (ByteBuffer) record.value();
            int length = value == null ? -1 : value.remaining();
            out.putInt(lengthsAt + 4 * i, length);
            if (value != null) {
                int start = value.arrayOffset() + value.position();
                System.arraycopy(value.array(), start, bytes, filled, length);
                filled += length;
            }
        }
        long to = records.get(records.size() - 1).offset() + 1;
        out.put((byte) 'B').put((byte) 0).putShort((short) 0).putInt(partition);
        out.putLong(from).putLong(to).putInt(records.size()).putInt(0);
        out.putLong(earliest).putLong(latest);
        return new Block(partition, from, to, bytes);
    }

    static boolean is(byte[] element) {
        return element.length >= HEADER_BYTES && element[0] == 'B';
    }

    /** The block that an element holds, as far as its header says. */
    static Block of(byte[] element) {
        ByteBuffer in = ByteBuffer.wrap(element).order(ByteOrder.LITTLE_ENDIAN);
        return new Block(in.getInt(4), in.getLong(8), in.getLong(16), element);
    }
}
