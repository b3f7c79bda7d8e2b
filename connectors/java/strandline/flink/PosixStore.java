package strandline.flink;

import java.io.IOException;
import java.io.InputStream;
import java.nio.ByteBuffer;
import java.nio.channels.FileChannel;
import java.nio.file.DirectoryStream;
import java.nio.file.FileAlreadyExistsException;
import java.nio.file.FileSystemException;
import java.nio.file.Files;
import java.nio.file.NoSuchFileException;
import java.nio.file.Path;
import java.nio.file.StandardOpenOption;
import java.nio.file.attribute.BasicFileAttributes;
import java.security.MessageDigest;
import java.util.HexFormat;
import java.util.TreeSet;
import java.util.UUID;
import org.slf4j.Logger;
import org.slf4j.LoggerFactory;

/**
 * A store in a folder. Twin of {@code strandline/store/posix.py}.
 *
 * <p>Assumes a file system where link(2) fails if the name exists, on every machine that mounts it
 * (local disks, NFS v4), and where fsync keeps its word. A rename would overwrite silently, so
 * nothing here moves a file. Used by one thread.
 */
final class PosixStore implements Store {
    private static final Logger LOG = LoggerFactory.getLogger(PosixStore.class);
    private static final long VERSIONS_PER_FOLDER = 10_000;

    private final Path root;
    private Path durableFolder;
    private long newest; // spares listing a folder of thousands at every commit

    PosixStore(Path root) {
        this.root = root;
    }

    @Override
    public byte[] manifest(long version) throws IOException {
        Path path = path(version);
        try {
            if (Files.size(path) > Manifest.BYTES_MAX) {
                throw Fatal.damaged(path + " has " + Files.size(path) + " bytes, at most "
                        + Manifest.BYTES_MAX + " are allowed");
            }
            return Files.readAllBytes(path);
        } catch (FileSystemException e) {
            if (isPacked(version)) {
                return Segment.manifest(path.getParent(), version);
            }
            if (!(e instanceof NoSuchFileException)) {
                throw e;
            }
            requireRoot(e);
            return null;
        }
    }

    @Override
    public long head(long hint) throws IOException {
        long version = Math.max(hint, newest);
        version = version > 0 && isTaken(version) ? version : listed();
        while (isTaken(version + 1)) {
            version++;
        }
        newest = version;
        return version;
    }

    @Override
    public boolean append(long version, byte[] manifest) throws IOException {
        Path target = path(version);
        Path folder = target.getParent();
        requireRoot(null);
        try {
            if (!isPacked(version)) {
                return create(version, folder, target, manifest);
            }
        } catch (FileSystemException e) {
            if (!isPacked(version)) {
                throw e;
            }
            LOG.debug("version {} was packed meanwhile", version, e);
        }
        force(folder.getParent());
        return false;
    }

    private boolean create(long version, Path folder, Path target, byte[] manifest)
            throws IOException {
        makeDurable(folder);
        if (version > 0 && version % VERSIONS_PER_FOLDER == 0) {
            // Whoever made the version before may have died before its folder was durable; within
            // one folder, making this version durable makes that one durable too.
            force(path(version - 1).getParent());
        }
        Path temporary = folder.resolve(".tmp-" + UUID.randomUUID());
        boolean created = true;
        try {
            write(temporary, manifest);
            Files.createLink(target, temporary);
        } catch (FileAlreadyExistsException e) {
            LOG.debug("version {} is taken", version, e);
            created = false;
        } finally {
            Files.deleteIfExists(temporary);
        }
        force(folder);
        return created;
    }

    @Override
    public String fault(Committable.FileEntry wanted, boolean digest) throws IOException {
        Path file = root.resolve(wanted.path());
        String fault;
        try {
            fault = difference(file, wanted, digest);
        } catch (NoSuchFileException e) {
            LOG.debug("{} is not there", file, e);
            fault = file + " is missing";
        }
        if (fault != null) {
            requireRoot(null);
            Files.newDirectoryStream(file.getParent()).close(); // else the folder is what is wrong
        }
        return fault;
    }

    private static String difference(
            Path file, Committable.FileEntry wanted, boolean digest) throws IOException {
        long length = Files.size(file);
        if (length != wanted.bytes()) {
            return file + " has " + length + " bytes";
        }
        String found = digest ? sha256(file) : wanted.sha256();
        return found.equals(wanted.sha256()) ? null : file + " is of SHA-256 " + found;
    }

    private static String sha256(Path file) throws IOException {
        MessageDigest digest = Json.sha256();
        try (InputStream in = Files.newInputStream(file)) {
            byte[] buffer = new byte[1 << 20];
            for (int n = in.read(buffer); n >= 0; n = in.read(buffer)) {
                digest.update(buffer, 0, n);
            }
        }
        return HexFormat.of().formatHex(digest.digest());
    }

    private Path path(long version) {
        String folder = String.format("%06d", version / VERSIONS_PER_FOLDER);
        String file = String.format("%010d.json", version);
        return root.resolve("versions").resolve(folder).resolve(file);
    }

    private boolean isTaken(long version) throws IOException {
        try {
            return exists(path(version)) || isPacked(version);
        } catch (FileSystemException e) {
            if (isPacked(version)) { // below a file nothing is found, and nothing is created
                return true;
            }
            throw e;
        }
    }

    /** Whether the version's folder has become a segment: then all its numbers are taken. */
    private boolean isPacked(long version) throws IOException {
        return exists(path(version).getParent());
    }

    /** Files.exists calls a file absent that cannot be seen: head would be too low, and lie. */
    private static boolean exists(Path path) throws IOException {
        try {
            return Files.readAttributes(path, BasicFileAttributes.class).isRegularFile();
        } catch (NoSuchFileException e) {
            LOG.trace("{} is not there", path, e);
            return false;
        }
    }

    /** An absent folder may be a mount that comes back: an error to wait out, not a decision. */
    private void requireRoot(IOException cause) throws IOException {
        if (!isTaken(0)) {
            throw new IOException("no store at " + root, cause);
        }
    }

    private long listed() throws IOException {
        requireRoot(null);
        for (Path folder : matching(root.resolve("versions"), "[0-9]{6}").descendingSet()) {
            if (exists(folder)) { // a segment
                long number = Long.parseLong(folder.getFileName().toString());
                return (number + 1) * VERSIONS_PER_FOLDER - 1;
            }
            // A folder is empty while its maker has not yet made the version, or for ever.
            TreeSet<Path> found = matching(folder, "[0-9]{10}\\.json");
            if (!found.isEmpty()) {
                String name = found.last().getFileName().toString();
                return Long.parseLong(name.substring(0, 10));
            }
        }
        return 0;
    }

    /** Names that match, oldest first: they have a fixed width, so text order is number order. */
    private static TreeSet<Path> matching(Path folder, String pattern) throws IOException {
        TreeSet<Path> found = new TreeSet<>();
        try (DirectoryStream<Path> entries = Files.newDirectoryStream(folder)) {
            for (Path entry : entries) {
                if (entry.getFileName().toString().matches(pattern)) {
                    found.add(entry);
                }
            }
        } catch (java.nio.file.DirectoryIteratorException e) {
            throw e.getCause();
        }
        return found;
    }

    /** Another process may have made the folder and died before its fsync: always our own. */
    private void makeDurable(Path folder) throws IOException {
        if (!folder.equals(durableFolder)) {
            Files.createDirectories(folder);
            force(folder.getParent());
            durableFolder = folder;
        }
    }

    private static void write(Path path, byte[] bytes) throws IOException {
        try (FileChannel channel = FileChannel.open(
                path, StandardOpenOption.CREATE_NEW, StandardOpenOption.WRITE)) {
            ByteBuffer buffer = ByteBuffer.wrap(bytes);
            while (buffer.hasRemaining()) {
                channel.write(buffer);
            }
            channel.force(true);
        }
    }

    private static void force(Path folder) throws IOException {
        try (FileChannel channel = FileChannel.open(folder, StandardOpenOption.READ)) {
            channel.force(true);
        }
    }
}
