package strandline.flink;

import java.io.IOException;
import org.apache.flink.runtime.execution.SuppressRestartsException;
import org.slf4j.Logger;
import org.slf4j.LoggerFactory;

/**
 * Waits out a store that does not answer: asks again, with a growing pause, without a deadline.
 *
 * <p>A slow store is no error; giving up would restart the job, which helps nobody. Every pause can
 * be interrupted, so that Flink can cancel the task at any time.
 */
final class Retry {
    private static final Logger LOG = LoggerFactory.getLogger(Retry.class);
    private static final long PAUSE_MIN_MS = 50;
    private static final long PAUSE_MAX_MS = 5_000;
    private static final int LOOKS = 8; // within 6 s: longer than a mount hides a new file

    private static final long SEEN_MS = 10_000;
    private static final long SEEN_POLL_MS = 100;

    private Retry() {}

    interface Call<T> {
        T call() throws IOException, InterruptedException;
    }

    /** The call's answer, once there is one. */
    static <T> T untilAnswered(String what, Call<T> call) throws InterruptedException {
        long pauseMs = PAUSE_MIN_MS;
        while (true) {
            try {
                return call.call();
            } catch (IOException e) {
                LOG.warn("{}: the store did not answer, trying again in {} ms", what, pauseMs, e);
                Thread.sleep(pauseMs);
                pauseMs = Math.min(2 * pauseMs, PAUSE_MAX_MS);
            }
        }
    }

    /**
     * The same for a call that may find a file missing or altered: it ends the job once several
     * looks in a row found that, with a growing pause between them, and the store answered all the
     * while.
     */
    static <T> T untilCertain(String what, Call<T> call) throws InterruptedException {
        long pauseMs = PAUSE_MIN_MS;
        int seen = 0;
        while (true) {
            try {
                return call.call();
            } catch (IOException e) {
                seen = 0;
                LOG.warn("{}: the store did not answer, trying again in {} ms", what, pauseMs, e);
            } catch (SuppressRestartsException e) {
                seen++;
                if (seen == LOOKS || !Fatal.isDamage(e)) {
                    throw e;
                }
                LOG.warn("{}: looking again in {} ms", what, pauseMs, e);
            }
            Thread.sleep(pauseMs);
            pauseMs = Math.min(2 * pauseMs, PAUSE_MAX_MS);
        }
    }

    /** The call's first answer that is not null. */
    static <T> T untilThere(String what, long pollMs, Call<T> call) throws InterruptedException {
        for (long polls = 0; ; polls++) {
            T answer = untilAnswered(what, call);
            if (answer != null) {
                return answer;
            }
            if (polls * pollMs % 60_000 == 0) {
                LOG.info("{}: waiting for it to stand in the store", what);
            }
            Thread.sleep(pollMs);
        }
    }

    /**
     * Waits a while for a store that must be there already: the client made it before it submitted
     * the job. A process of a cluster that does not see it at its first start runs on a machine
     * without the store's file system, and would wait for ever. Later an absent folder is waited
     * out: a mount may come back.
     */
    static void untilSeen(StreamCalls store, JobSettings settings, String who)
            throws InterruptedException {
        for (long waitedMs = 0; ; waitedMs += SEEN_POLL_MS) {
            try {
                store.head();
                return;
            } catch (IOException e) {
                LOG.debug("no store is seen", e);
            }
            if (waitedMs >= SEEN_MS) {
                throw Fatal.because("store_unavailable", String.format(
                        "%s on %s sees no store at %s. On a cluster the store must be a folder of a"
                                + " shared file system, mounted under this path on every machine"
                                + " and for the user that runs Flink",
                        who, AgentProcess.host(), settings.storeUrl()));
            }
            Thread.sleep(SEEN_POLL_MS);
        }
    }
}
