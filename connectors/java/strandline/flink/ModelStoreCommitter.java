package strandline.flink;

import java.util.Collection;
import java.util.OptionalLong;
import org.apache.flink.api.connector.sink2.Committer;
import org.apache.flink.shaded.jackson2.com.fasterxml.jackson.databind.node.ObjectNode;
import org.slf4j.Logger;
import org.slf4j.LoggerFactory;

/**
 * Commits epochs in order. After a restart Flink asks for the last ones again: they are recognised.
 *
 * <p>A store that does not answer is waited for here. Flink's own retries are a tight loop that
 * gives up, and a commit signalled as failed would be dropped in silence.
 */
final class ModelStoreCommitter implements Committer<Committable> {
    private static final Logger LOG = LoggerFactory.getLogger(ModelStoreCommitter.class);

    private final Store store;
    private final EpochMetrics metrics;
    private final OptionalLong restored;

    /** @param restored the checkpoint restored from, if any */
    ModelStoreCommitter(Store store, EpochMetrics metrics, OptionalLong restored) {
        this.store = store;
        this.metrics = metrics;
        this.restored = restored;
    }

    @Override
    public void commit(Collection<CommitRequest<Committable>> requests)
            throws InterruptedException {
        for (CommitRequest<Committable> request : requests) {
            Committable wanted = request.getCommittable();
            long begunNs = System.nanoTime();
            // What this attempt staged has been durable all along, and Java's SHA-256 takes longer
            // than learning a tenth of the epoch. What an earlier attempt left is read again.
            Commit.Committed committed =
                    Commit.commit(store, wanted, wanted.mayBeOlderThan(restored));
            if (committed.mine()) {
                LOG.info("committed_before stream={} run={} version={}",
                        wanted.stream(), wanted.run(), committed.version());
                request.signalAlreadyCommitted();
            } else {
                long commitMs = (System.nanoTime() - begunNs) / 1_000_000;
                metrics.take(account(wanted, committed.version(), commitMs));
            }
        }
    }

    @Override
    public void close() {
        // Every call opened and closed its own files.
    }

    private static ObjectNode account(Committable committed, long version, long commitMs) {
        ObjectNode body = Json.parse(committed.body());
        ObjectNode account = Json.object();
        account.put("operator", "commit");
        account.putObject("of").put("stream", committed.stream()).put("run", committed.run());
        account.putObject("counts").put("versions", 1).setAll((ObjectNode) body.get("counts"));
        ObjectNode gauges = account.putObject("gauges");
        gauges.put("version", version);
        gauges.set("epoch", body.get("checkpoint"));
        gauges.put("commit_ms", commitMs);
        long newestEventMs = body.get("event_time_ms").get(1).longValue();
        if (newestEventMs > 0) { // a topic may carry no times
            gauges.put("freshness_ms", Math.max(0, System.currentTimeMillis() - newestEventMs));
        }
        return account;
    }
}
