package strandline.flink;

import java.io.IOException;
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
                // An interrupt closes an open channel: sleep throws then, and ends the wait.
                LOG.warn("{}: the store did not answer, trying again in {} ms", what, pauseMs, e);
                Thread.sleep(pauseMs);
                pauseMs = Math.min(2 * pauseMs, PAUSE_MAX_MS);
            }
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
}
