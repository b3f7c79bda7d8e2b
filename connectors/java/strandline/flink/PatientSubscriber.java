package strandline.flink;

import java.util.List;
import java.util.Set;
import org.apache.flink.connector.kafka.source.enumerator.subscriber.KafkaSubscriber;
import org.apache.flink.kafka.shaded.org.apache.kafka.clients.admin.AdminClient;
import org.apache.flink.kafka.shaded.org.apache.kafka.common.TopicPartition;
import org.apache.flink.kafka.shaded.org.apache.kafka.common.errors.TimeoutException;
import org.apache.flink.util.ExceptionUtils;
import org.apache.flink.util.FlinkRuntimeException;
import org.slf4j.Logger;
import org.slf4j.LoggerFactory;

/**
 * The partitions of a topic, asked for until a broker answers.
 *
 * <p>The enumerator looks for new partitions all the while the job runs. The connector's own
 * subscriber fails when Kafka's client gives up, after a minute: while a broker is away the job
 * would be restarted again and again.
 *
 * <p>Called in the enumerator's worker thread, which nothing else waits for, and which is
 * interrupted when the job ends.
 */
final class PatientSubscriber implements KafkaSubscriber {
    private static final long serialVersionUID = 1L;
    private static final Logger LOG = LoggerFactory.getLogger(PatientSubscriber.class);
    private static final long PAUSE_MS = 1_000;

    private final KafkaSubscriber subscriber;

    PatientSubscriber(String topic) {
        subscriber = KafkaSubscriber.getTopicListSubscriber(List.of(topic));
    }

    @Override
    public Set<TopicPartition> getSubscribedTopicPartitions(AdminClient client) {
        while (true) {
            try {
                return subscriber.getSubscribedTopicPartitions(client);
            } catch (RuntimeException e) {
                if (ExceptionUtils.findThrowable(e, TimeoutException.class).isEmpty()) {
                    throw e;
                }
                LOG.warn("no broker says what partitions the topic has, asking again", e);
            }
            try {
                Thread.sleep(PAUSE_MS);
            } catch (InterruptedException e) { // a closed client times out as well
                Thread.currentThread().interrupt();
                throw new FlinkRuntimeException("interrupted while no broker answers", e);
            }
        }
    }
}
