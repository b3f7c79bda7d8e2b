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

    private final JobSettings settings;
    private final StreamCalls store;
    private final EpochMetrics metrics;
    private final Long restored;

    /** @param restored the checkpoint restored from, if any */
    ModelStoreCommitter(JobSettings settings, EpochMetrics metrics, OptionalLong restored) {
        this.settings = settings;
        this.store = new StreamCalls(settings);
        this.metrics = metrics;
        this.restored = restored.isPresent() ? restored.getAsLong() : null;
    }

    @Override
    public void commit(Collection<CommitRequest<Committable>> requests)
            throws InterruptedException {
        for (CommitRequest<Committable> request : requests) {
            Committable wanted = request.getCommittable();
            long begunNs = System.nanoTime();
            StreamCalls.Committed committed =
                    Retry.untilCertain("commit", () -> store.commit(wanted, restored));
            if (committed.mine()) {
                LOG.info("committed_before stream={} run={} version={}",
                        settings.stream(), wanted.run(), committed.version());
                request.signalAlreadyCommitted();
            } else {
                long commitMs = (System.nanoTime() - begunNs) / 1_000_000;
                metrics.take(account(wanted, committed, commitMs));
            }
        }
    }

    @Override
    public void close() {
        store.close();
    }

    private ObjectNode account(
            Committable wanted, StreamCalls.Committed committed, long commitMs) {
        ObjectNode account = Json.object();
        account.put("operator", "commit");
        account.putObject("of").put("stream", settings.stream()).put("run", wanted.run());
        account.putObject("counts").put("versions", 1).setAll(committed.counts());
        ObjectNode gauges = account.putObject("gauges");
        gauges.put("version", committed.version());
        gauges.put("epoch", committed.checkpoint());
        gauges.put("commit_ms", commitMs);
        if (committed.newestEventMs() > 0) { // a topic may carry no times
            gauges.put("freshness_ms",
                    Math.max(0, System.currentTimeMillis() - committed.newestEventMs()));
        }
        return account;
    }
}
