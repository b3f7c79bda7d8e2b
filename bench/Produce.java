import java.nio.file.Files;
import java.nio.file.Path;
import java.util.ArrayList;
import java.util.Arrays;
import java.util.List;
import java.util.Properties;
import java.util.concurrent.atomic.AtomicReference;
import java.util.concurrent.locks.LockSupport;
import org.apache.kafka.clients.producer.KafkaProducer;
import org.apache.kafka.clients.producer.ProducerRecord;
import org.apache.kafka.common.serialization.ByteArraySerializer;

/**
 * Sends the lines of a file to a topic, over and over, at a set rate, until its input ends.
 *
 * <p>Arguments: bootstrap servers, topic, file, events per second. Every partition gets a chunk in
 * turn, as from many clients. Prints how many events the broker has acknowledged.
 */
public final class Produce {
    private static final int CHUNK_EVENTS = 50;
    private static final long TICK_NS = 1_000_000;
    private static final long NS_PER_S = 1_000_000_000;

    private Produce() {}

    public static void main(String[] args) throws Exception {
        String topic = args[1];
        List<byte[]> events = lines(Files.readAllBytes(Path.of(args[2])));
        long perSecond = Long.parseLong(args[3]);
        Properties properties = new Properties();
        properties.setProperty("bootstrap.servers", args[0]);
        properties.setProperty("acks", "all");
        properties.setProperty("linger.ms", "5");
        properties.setProperty("batch.size", "131072");
        properties.setProperty("key.serializer", ByteArraySerializer.class.getName());
        properties.setProperty("value.serializer", ByteArraySerializer.class.getName());
        AtomicReference<Exception> failure = new AtomicReference<>();
        long sent = 0;
        try (KafkaProducer<byte[], byte[]> producer = new KafkaProducer<>(properties)) {
            int partitions = producer.partitionsFor(topic).size();
            long beginNs = System.nanoTime();
            while (System.in.available() == 0) {
                long due = (System.nanoTime() - beginNs) * perSecond / NS_PER_S;
                for (; sent < due; sent++) {
                    int partition = (int) (sent / CHUNK_EVENTS % partitions);
                    byte[] event = events.get((int) (sent % events.size()));
                    producer.send(new ProducerRecord<>(topic, partition, null, event),
                            (metadata, error) -> failure.compareAndSet(null, error));
                }
                LockSupport.parkNanos(TICK_NS);
            }
        }
        if (failure.get() != null) {
            throw failure.get();
        }
        System.out.println(sent);
    }

    private static List<byte[]> lines(byte[] content) {
        List<byte[]> found = new ArrayList<>();
        int begin = 0;
        for (int at = 0; at < content.length; at++) {
            if (content[at] == '\n') {
                found.add(Arrays.copyOfRange(content, begin, at));
                begin = at + 1;
            }
        }
        return found;
    }
}
