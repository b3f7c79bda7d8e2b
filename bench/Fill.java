import java.io.InputStream;
import java.util.Arrays;
import java.util.Map;
import java.util.concurrent.atomic.AtomicReference;
import org.apache.kafka.clients.producer.KafkaProducer;
import org.apache.kafka.clients.producer.ProducerRecord;
import org.apache.kafka.common.serialization.ByteArraySerializer;

/** Sends the lines of its input to a topic: 500 to a partition, then to the next one. */
final class Fill {
    private static final int LINES_IN_A_ROW = 500;

    private Fill() {}

    public static void main(String[] arguments) throws Exception {
        String topic = arguments[1];
        Map<String, Object> settings = Map.of(
                "bootstrap.servers", arguments[0],
                "key.serializer", ByteArraySerializer.class,
                "value.serializer", ByteArraySerializer.class,
                "acks", "all",
                "linger.ms", "20",
                "batch.size", "262144",
                "buffer.memory", "67108864");
        AtomicReference<Exception> failure = new AtomicReference<>();
        long sent = 0;
        try (KafkaProducer<byte[], byte[]> producer = new KafkaProducer<>(settings)) {
            int partitions = producer.partitionsFor(topic).size();
            InputStream input = System.in;
            byte[] buffer = new byte[1 << 20];
            int held = 0;
            for (int read = input.read(buffer); read > 0;
                    read = input.read(buffer, held, buffer.length - held)) {
                held += read;
                int from = 0;
                for (int at = held - read; at < held; at++) {
                    if (buffer[at] == '\n') {
                        int partition = (int) (sent / LINES_IN_A_ROW % partitions);
                        byte[] line = Arrays.copyOfRange(buffer, from, at);
                        producer.send(new ProducerRecord<>(topic, partition, null, line),
                                (metadata, error) -> failure.compareAndSet(null, error));
                        sent++;
                        from = at + 1;
                    }
                }
                System.arraycopy(buffer, from, buffer, 0, held - from);
                held -= from;
            }
        }
        if (failure.get() != null) {
            throw failure.get();
        }
        System.out.println(sent);
    }
}
