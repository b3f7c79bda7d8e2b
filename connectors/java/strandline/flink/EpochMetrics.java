package strandline.flink;

import java.util.HashMap;
import java.util.Map;
import java.util.concurrent.atomic.AtomicLong;
import org.apache.flink.metrics.Counter;
import org.apache.flink.metrics.MetricGroup;
import org.apache.flink.shaded.jackson2.com.fasterxml.jackson.databind.JsonNode;
import org.apache.flink.shaded.jackson2.com.fasterxml.jackson.databind.node.ObjectNode;
import org.slf4j.Logger;
import org.slf4j.LoggerFactory;

/**
 * An operator's account of an epoch, as metrics and as one line of the log: the same numbers under
 * the same names. {@code docs/observability.md} lists them.
 *
 * <p>An account is JSON: {@code operator}, its first word in the log; {@code of}, what tells it
 * from others, only logged; {@code counts}, which add up from epoch to epoch (Flink counters);
 * {@code gauges}, of the newest epoch.
 */
final class EpochMetrics {
    static final String GROUP = "strandline";
    private static final Logger LOG = LoggerFactory.getLogger(EpochMetrics.class);

    private final MetricGroup group;
    private final Map<String, Counter> counters = new HashMap<>();
    private final Map<String, AtomicLong> gauges = new HashMap<>(); // read by reporters' threads
    private volatile long takenNs = System.nanoTime();

    EpochMetrics(MetricGroup group) {
        this.group = group.addGroup(GROUP);
        this.group.gauge("since_epoch_ms", () -> (System.nanoTime() - takenNs) / 1_000_000);
    }

    void take(ObjectNode account) {
        takenNs = System.nanoTime();
        StringBuilder line = new StringBuilder(Json.text(account, "operator"));
        append(Json.get(account, "of"), line);
        for (Map.Entry<String, JsonNode> count : append(account.get("counts"), line)) {
            counters.computeIfAbsent(count.getKey(), group::counter)
                    .inc(Json.integer(count.getValue()));
        }
        for (Map.Entry<String, JsonNode> gauge : append(account.get("gauges"), line)) {
            gauges.computeIfAbsent(gauge.getKey(), this::gauge)
                    .set(Json.integer(gauge.getValue()));
        }
        LOG.info("{}", line);
    }

    private AtomicLong gauge(String name) {
        AtomicLong value = new AtomicLong();
        group.gauge(name, value::get);
        return value;
    }

    private static Iterable<Map.Entry<String, JsonNode>> append(JsonNode part, StringBuilder line) {
        for (Map.Entry<String, JsonNode> entry : part.properties()) {
            line.append(' ').append(entry.getKey()).append('=').append(entry.getValue().asText());
        }
        return part.properties();
    }
}
