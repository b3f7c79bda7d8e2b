package strandline.flink;

import java.util.List;
import java.util.Properties;
import java.util.TreeMap;
import java.util.concurrent.ExecutionException;
import org.apache.flink.kafka.shaded.org.apache.kafka.clients.admin.AdminClient;
import org.apache.flink.util.FlinkRuntimeException;

/**
 * What tells a job's topic from any other of the same name: the {@code source} of its stream. One
 * that was created anew has other events under the same offsets.
 */
final class TopicSource {
    private TopicSource() {}

    /** The source as Kafka knows it now. */
    static TreeMap<String, String> of(JobSettings settings) throws InterruptedException {
        Properties properties = settings.kafkaProperties();
        properties.setProperty("client.id", "strandline-" + settings.stream() + "-open");
        try (AdminClient admin = AdminClient.create(properties)) {
            TreeMap<String, String> source = new TreeMap<>();
            source.put("cluster", admin.describeCluster().clusterId().get());
            source.put("topic", settings.topic());
            source.put("topic_id", admin.describeTopics(List.of(settings.topic()))
                    .allTopicNames().get().get(settings.topic()).topicId().toString());
            return source;
        } catch (ExecutionException e) {
            throw new FlinkRuntimeException(
                    "Kafka did not say what cluster and topic it has: " + e.getCause(), e);
        }
    }

    /** Ends the job if what {@code head} says of the stream was not read from this source. */
    static void requireSame(
            JobSettings settings, StreamCalls.Stand now, TreeMap<String, String> source) {
        if (!fromKafka(now)) {
            throw Fatal.because("stream_unfit", String.format(
                    "stream %s: at version %d it is fed from %s, not from Kafka, and its positions"
                            + " mean nothing there; choose another name with --stream",
                    settings.stream(), now.head(), now.source()));
        }
        if (!now.source().equals(source)) {
            throw Fatal.because("recreated", String.format(
                    "stream %s: version %d has read %s, but now there is %s; a topic that was"
                            + " created anew has other events under the same offsets. Read it as"
                            + " another stream with --stream, or start a new store",
                    settings.stream(), now.head(), now.source(), source));
        }
    }

    /**
     * The same when a submission restores for the first time: its savepoint may be older than the
     * topic. A failover asks Kafka nothing.
     */
    static void requireSameAtFirstRestore(JobSettings settings, StreamCalls store)
            throws InterruptedException {
        boolean first = Retry.untilAnswered("opens of " + settings.stream(), store::newestOpen)
                == null;
        StreamCalls.Stand now = Retry.untilAnswered("head", store::look);
        if (first && now.isKnown() && fromKafka(now)) {
            requireSame(settings, now, of(settings));
        }
    }

    private static boolean fromKafka(StreamCalls.Stand stand) {
        return stand.source().containsKey("topic_id");
    }
}
