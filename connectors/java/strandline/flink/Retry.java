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
    private static final int LOOKS = 8; // within 6 s: longer than a mount hides a new file

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

    /**
     * Null once a look finds no fault; a fault once it was found in several looks in a row, with
     * a growing pause between them, and the store answered all the while.
     */
    static String certainFault(Call<String> look) throws InterruptedException {
        long pauseMs = PAUSE_MIN_MS;
        int seen = 0;
        while (true) {
            try {
                String fault = look.call();
                seen++;
                if (fault == null || seen == LOOKS) {
                    return fault;
                }
                LOG.warn("{}, looking again in {} ms", fault, pauseMs);
            } catch (IOException e) {
                seen = 0;
                LOG.warn("the store did not answer, looking again in {} ms", pauseMs, e);
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
}
