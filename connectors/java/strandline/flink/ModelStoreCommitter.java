package strandline.flink;

import java.util.Collection;
import org.apache.flink.api.connector.sink2.Committer;
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

    ModelStoreCommitter(Store store) {
        this.store = store;
    }

    @Override
    public void commit(Collection<CommitRequest<Committable>> requests)
            throws InterruptedException {
        for (CommitRequest<Committable> request : requests) {
            Commit.Committed committed = Commit.commit(store, request.getCommittable());
            if (committed.mine()) {
                LOG.info("version {} had been committed before", committed.version());
                request.signalAlreadyCommitted();
            }
        }
    }

    @Override
    public void close() {
        // Every call opened and closed its own files.
    }
}
