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

    /** Joins at least one record; offsets before the first one's belong to the block as a hole. */
    static Block join(
            int partition, long from, List<ConsumerRecord<byte[], byte[]>> records, int payload) {
        int size = Math.addExact(HEADER_BYTES + 12 * records.size(), payload);
        ByteBuffer out = ByteBuffer.allocate(size).order(ByteOrder.LITTLE_ENDIAN);
        long earliest = Long.MAX_VALUE;
        long latest = 0;
        out.position(HEADER_BYTES);
        for (ConsumerRecord<byte[], byte[]> record : records) {
            out.putLong(record.offset());
            long time = Math.max(0, record.timestamp()); // -1: the producer gave none
            earliest = Math.min(earliest, time);
            latest = Math.max(latest, time);
        }
        for (ConsumerRecord<byte[], byte[]> record : records) {
            out.putInt(record.value() == null ? -1 : record.value().length);
        }
        for (ConsumerRecord<byte[], byte[]> record : records) {
            if (record.value() != null) {
                out.put(record.value());
            }
        }
        long to = records.get(records.size() - 1).offset() + 1;
        out.position(0);
        out.put((byte) 'B').put((byte) 0).putShort((short) 0).putInt(partition);
        out.putLong(from).putLong(to).putInt(records.size()).putInt(0);
        out.putLong(earliest).putLong(latest);
        return new Block(partition, from, to, out.array());
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
