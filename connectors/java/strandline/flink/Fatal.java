package strandline.flink;

import org.apache.flink.runtime.execution.SuppressRestartsException;

/**
 * An error that a restart cannot mend: it ends the job.
 *
 * <p>Flink stops restarting when it meets {@link SuppressRestartsException} anywhere in the chain
 * of causes. The message starts with {@code STRANDLINE[code]}, where the code is the one of a class
 * in {@code strandline.errors}: the client finds it in the job's failure and answers with the same
 * error, its message and its exit code.
 */
final class Fatal extends Exception {
    private static final long serialVersionUID = 1L;

    private final String code;

    private Fatal(String code, String message) {
        super("STRANDLINE[" + code + "] " + message);
        this.code = code;
    }

    static SuppressRestartsException because(String code, String message) {
        return new SuppressRestartsException(new Fatal(code, message));
    }

    /** Whether it says that files of the store are not what they were. */
    static boolean isDamage(SuppressRestartsException end) {
        return end.getCause() instanceof Fatal fatal && fatal.code.equals("store_damaged");
    }
}
