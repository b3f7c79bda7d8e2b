package strandline.flink;

import java.io.IOException;
import java.util.concurrent.ExecutionException;
import java.util.concurrent.ExecutorService;
import java.util.concurrent.Executors;
import java.util.concurrent.Future;
import org.apache.flink.runtime.execution.SuppressRestartsException;
import org.slf4j.Logger;
import org.slf4j.LoggerFactory;

/**
 * Whether another run has taken the stream, for a job without events: it has no commit that would
 * be refused. The store is asked beside the job, so no barrier waits for its answer.
 */
final class SupersededCheck implements AutoCloseable {
    private static final Logger LOG = LoggerFactory.getLogger(SupersededCheck.class);

    private final StreamCalls store;
    private ExecutorService beside;
    private Future<Long> asked;
    private long head;

    SupersededCheck(StreamCalls store) {
        this.store = store;
    }

    /** Ends the job if the answer to the last question says so; asks the next one. */
    void next(String run, long open) throws InterruptedException {
        if (asked != null && !asked.isDone()) {
            return;
        }
        if (asked != null) {
            take(asked);
        }
        if (beside == null) {
            beside = Executors.newSingleThreadExecutor(task -> {
                Thread thread = new Thread(task, "superseded-check");
                thread.setDaemon(true);
                return thread;
            });
        }
        long since = Math.max(head, open);
        asked = beside.submit(() -> store.requireInForce(run, since));
    }

    private void take(Future<Long> answer) throws InterruptedException {
        try {
            head = answer.get();
        } catch (ExecutionException e) {
            if (e.getCause() instanceof SuppressRestartsException end) {
                throw end;
            }
            if (!(e.getCause() instanceof IOException)) {
                throw new IllegalStateException(e.getCause());
            }
            LOG.warn("the store did not answer, asking again at the next checkpoint", e.getCause());
        }
    }

    @Override
    public void close() {
        if (beside != null) {
            beside.shutdownNow();
        }
    }
}
