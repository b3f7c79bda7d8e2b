package strandline.flink;

import java.io.IOException;

/**
 * What a commit needs of a store. Twin of the protocol in {@code strandline/store/base.py}.
 *
 * <p>An {@link IOException} means that the answer is unknown: callers try again. What is known to
 * be wrong for good is a {@link Fatal}.
 */
interface Store {
    /** The bytes of a version, or null if the number is free. */
    byte[] manifest(long version) throws IOException;

    /** The newest version's number. The hint is a version that was head before, or 0. */
    long head(long hint) throws IOException;

    /**
     * Creates a version if its number is free: the commit point. Whatever the answer, the version
     * that now stands under the number is durable.
     */
    boolean append(long version, byte[] manifest) throws IOException;

    /**
     * What is wrong with a staged file: null if it is there with this length and, if asked for,
     * digest. Says nothing about a file that cannot be seen because its folder or the store is
     * away.
     */
    String fault(Committable.FileEntry file, boolean digest) throws IOException;

    static Store open(String url) {
        return new PosixStore(java.nio.file.Path.of(url));
    }

    /** The parsed version, which must exist. */
    default Manifest read(long version) throws IOException {
        byte[] bytes = manifest(version);
        if (bytes == null) {
            throw Fatal.damaged("version " + version + " is gone, though later ones exist");
        }
        return Manifest.parse(version, bytes);
    }
}
