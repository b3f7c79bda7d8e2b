package strandline.flink;

import java.io.Serializable;
import java.nio.file.Path;
import java.util.List;
import java.util.Map;
import java.util.Properties;
import java.util.TreeMap;
import org.apache.flink.kafka.shaded.org.apache.kafka.common.serialization.ByteBufferDeserializer;

/**
 * What a job's client tells its Java parts. Travels inside the job graph.
 *
 * @param python the job's Python, as every machine of the job has it: what starts store agents
 * @param release of Strandline, which the client has
 * @param storeUrl the store's folder, as every machine of the job sees it
 * @param stream the stream's name in the store
 * @param submission the uuid, 32 hexadecimal digits, that the client made for this submission
 * @param from where a stream that the store does not know starts: "earliest", "latest" or
 *     milliseconds since the epoch
 * @param takeover whether to start although several runs supersede each other
 * @param topicAgain whether a new stream may read a topic that another one reads
 * @param properties Kafka client properties, {@code bootstrap.servers} at least; may hold secrets
 * @param topic the topic that the stream is
 * @param bounded whether to end at the offsets that are the latest at the start
 * @param oneStream tables whose merge rule does not commute: with any of them the store takes no
 *     second stream
 */
public record JobSettings(
        String python,
        String release,
        String storeUrl,
        String stream,
        String submission,
        String from,
        boolean takeover,
        boolean topicAgain,
        Map<String, String> properties,
        String topic,
        boolean bounded,
        List<String> oneStream)
        implements Serializable {

    public JobSettings {
        if (!Path.of(storeUrl).isAbsolute()) {
            throw new IllegalArgumentException("the store is '" + storeUrl
                    + "', expected the absolute path of a folder that every machine sees");
        }
        if (!stream.matches("[a-z0-9][a-z0-9._-]{0,62}")) { // no other is readable in a version
            throw new IllegalArgumentException("the stream's name is '" + stream + "'");
        }
        if (!from.matches("earliest|latest|[0-9]{1,18}")) {
            throw new IllegalArgumentException(
                    "from is '" + from + "', expected earliest, latest or milliseconds");
        }
        properties = new TreeMap<>(properties); // the client's map is a proxy of a Python dict
        oneStream = List.copyOf(oneStream);
    }

    StoreAgent.Address agent() {
        return new StoreAgent.Address(python, storeUrl, release);
    }

    /**
     * Properties of the consumer, the enumerator and their admin clients. Sizes are the user's to
     * change, what exactness rests on is not.
     */
    Properties kafkaProperties() {
        Properties all = new Properties();
        String views = ByteBufferDeserializer.class.getName();
        all.setProperty("max.poll.records", "10000");
        // What is in flight is what the garbage collector copies: a few fetches are enough.
        all.setProperty("max.partition.fetch.bytes", Integer.toString(4 << 20));
        all.setProperty("fetch.max.bytes", Integer.toString(4 << 20));
        // The kernel sizes the buffer: 64 KiB, the client's default, means more and smaller reads.
        all.setProperty("receive.buffer.bytes", "-1");
        all.setProperty("register.consumer.metrics", "false");
        all.setProperty("partition.discovery.interval.ms", "10000");
        all.setProperty("client.id.prefix", "strandline-" + stream);
        properties.forEach(all::setProperty);
        // Views of what was fetched: a value's bytes are copied once, into their block.
        all.setProperty("key.deserializer", views);
        all.setProperty("value.deserializer", views);
        all.setProperty("isolation.level", "read_committed");
        // A reset would jump over events in silence. The position is the store's, nobody else's.
        all.setProperty("auto.offset.reset", "none");
        all.setProperty("enable.auto.commit", "false");
        if (bounded) {
            all.setProperty("partition.discovery.interval.ms", "-1");
        }
        return all;
    }

    /** Hides the properties: they may hold passwords, and records print all they have. */
    @Override
    public String toString() {
        return "JobSettings[" + storeUrl + ", stream " + stream + ", topic " + topic
                + ", submission " + submission + "]";
    }
}
