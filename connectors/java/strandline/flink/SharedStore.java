package strandline.flink;

import java.io.IOException;
import java.net.InetAddress;
import java.net.UnknownHostException;
import org.slf4j.Logger;
import org.slf4j.LoggerFactory;

/**
 * A store that must be there already: the client made it before it submitted the job.
 *
 * <p>A process of a cluster that does not see it at its first start runs on a machine without the
 * store's file system, and would wait for ever. Later an absent folder is waited out: a mount may
 * come back.
 */
final class SharedStore {
    private static final Logger LOG = LoggerFactory.getLogger(SharedStore.class);
    private static final long WAIT_MS = 10_000;
    private static final long POLL_MS = 100;

    private SharedStore() {}

    /** Opens the store, or ends the job if this process does not see it after a while. */
    static Store open(String url, String who) throws InterruptedException {
        Store store = Store.open(url);
        for (long waitedMs = 0; !seen(store); waitedMs += POLL_MS) {
            if (waitedMs >= WAIT_MS) {
                throw Fatal.because("store_unavailable", String.format(
                        "%s on %s sees no store at %s. On a cluster the store must be a folder of a"
                                + " shared file system, mounted under this path on every machine"
                                + " and for the user that runs Flink",
                        who, host(), url));
            }
            Thread.sleep(POLL_MS);
        }
        return store;
    }

    private static boolean seen(Store store) {
        try {
            store.head(0);
            return true;
        } catch (IOException e) {
            LOG.debug("no store is seen", e);
            return false;
        }
    }

    private static String host() {
        try {
            return InetAddress.getLocalHost().getHostName();
        } catch (UnknownHostException e) {
            return e.getMessage(); // it begins with the name
        }
    }
}
