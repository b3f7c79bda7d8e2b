package strandline.flink;

import java.io.IOException;
import java.nio.ByteBuffer;
import java.nio.channels.FileChannel;
import java.nio.charset.StandardCharsets;
import java.nio.file.DirectoryIteratorException;
import java.nio.file.DirectoryStream;
import java.nio.file.Files;
import java.nio.file.LinkOption;
import java.nio.file.NoSuchFileException;
import java.nio.file.NotDirectoryException;
import java.nio.file.Path;
import java.nio.file.StandardOpenOption;
import java.nio.file.attribute.UserPrincipal;
import java.util.regex.Matcher;
import java.util.regex.Pattern;
import org.slf4j.Logger;
import org.slf4j.LoggerFactory;

/**
 * Elements handed over as files in memory, between a JVM and the Python processes beside it.
 *
 * <p>One operator's folder, readable by its user alone. Whoever reads a file removes it first; what
 * is left goes with {@link #close()}. A JVM that is killed leaves its folders behind: their names
 * say whose they are, and the next one removes them. No file outlives the attempt that wrote it:
 * after a failover the source reads the same events again.
 *
 * <p>The system property {@code strandline.files} names another place than {@code /dev/shm}.
 */
final class ElementFiles {
    /** Smaller elements go through gRPC. */
    static final int LARGE_BYTES = 1 << 16;

    private static final Logger LOGGER = LoggerFactory.getLogger(ElementFiles.class);
    private static final Path MEMORY = Path.of("/dev/shm");
    private static final Pattern NAME =
            Pattern.compile("strandline-(\\d{1,18})-(\\d{1,18})-(\\d{1,18})-\\d+");
    private static final int START_TIME_FIELD = 19; // of /proc/PID/stat, after the name

    private final Path folder;
    private long written;
    private boolean full;

    private ElementFiles(Path folder) {
        this.folder = folder;
    }

    /** Makes a folder, and removes those of dead processes. */
    static ElementFiles make() throws IOException {
        Path root = root();
        long pid = ProcessHandle.current().pid();
        String owner = String.format("strandline-%d-%d-%d-", processIds(), pid, startTime(pid));
        Path folder = Files.createTempDirectory(root, owner); // with mode 0700
        sweep(root, Files.getOwner(folder));
        return new ElementFiles(folder);
    }

    /** The handle of a large element, now in a file; the element itself if there is no space. */
    byte[] handOver(byte[] element) {
        if (element.length < LARGE_BYTES) {
            return element;
        }
        Path file = folder.resolve(Long.toString(written++));
        try {
            write(file, element);
        } catch (IOException e) {
            if (!full) { // said once: it may be so for every element
                LOGGER.warn("{} goes through gRPC: {}", file, e.toString());
            }
            full = true;
            remove(file);
            return element;
        }
        return ('H' + file.toString()).getBytes(StandardCharsets.UTF_8);
    }

    /** The element that a handle names, or the element that is none. */
    static byte[] take(byte[] element) throws IOException {
        if (element[0] != 'H') {
            return element;
        }
        String name = new String(element, 1, element.length - 1, StandardCharsets.UTF_8);
        byte[] content = Files.readAllBytes(Path.of(name));
        Files.delete(Path.of(name));
        return content;
    }

    void close() {
        removeFolder(folder);
    }

    private static Path root() {
        String asked = System.getProperty("strandline.files");
        if (asked != null) {
            return Path.of(asked);
        }
        return Files.isWritable(MEMORY) ? MEMORY : Path.of(System.getProperty("java.io.tmpdir"));
    }

    private static void write(Path file, byte[] element) throws IOException {
        try (FileChannel channel = FileChannel.open(
                file, StandardOpenOption.CREATE_NEW, StandardOpenOption.WRITE)) {
            ByteBuffer rest = ByteBuffer.wrap(element);
            while (rest.hasRemaining()) {
                channel.write(rest);
            }
        }
    }

    private static void sweep(Path root, UserPrincipal user) {
        try (DirectoryStream<Path> folders = Files.newDirectoryStream(root, "strandline-*")) {
            for (Path each : folders) {
                if (isOrphan(each, user)) {
                    LOGGER.info("{} was left by a process that is gone", each);
                    removeFolder(each);
                }
            }
        } catch (IOException | DirectoryIteratorException e) {
            LOGGER.warn("{} is not looked through: {}", root, e.toString());
        }
    }

    /**
     * A container may share the folder but not the process ids: then they tell nothing. What is
     * another user's could become a link to anywhere before it is removed.
     */
    private static boolean isOrphan(Path folder, UserPrincipal user) {
        Matcher name = NAME.matcher(folder.getFileName().toString());
        try {
            return name.matches()
                    && Long.parseLong(name.group(1)) == processIds()
                    && Long.parseLong(name.group(3)) != startTime(Long.parseLong(name.group(2)))
                    && Files.isDirectory(folder, LinkOption.NOFOLLOW_LINKS)
                    && Files.getOwner(folder, LinkOption.NOFOLLOW_LINKS).equals(user);
        } catch (IOException e) {
            return false; // its process is ending now, or another one removes it
        }
    }

    /** Identity of the namespace that process ids belong to. */
    private static long processIds() throws IOException {
        String name = Files.readSymbolicLink(Path.of("/proc/self/ns/pid")).toString();
        return Long.parseLong(name.replaceAll("\\D", ""));
    }

    /** When a process started, in clock ticks since the machine did; -1: there is none. */
    private static long startTime(long pid) throws IOException {
        try {
            String stat = Files.readString(Path.of("/proc", Long.toString(pid), "stat"));
            String[] fields = stat.substring(stat.lastIndexOf(')') + 2).split(" ");
            return Long.parseLong(fields[START_TIME_FIELD]);
        } catch (NoSuchFileException e) {
            return -1;
        }
    }

    private static void removeFolder(Path folder) {
        try (DirectoryStream<Path> files = Files.newDirectoryStream(folder)) {
            files.forEach(ElementFiles::remove);
        } catch (NoSuchFileException | NotDirectoryException e) {
            return; // another one was faster
        } catch (IOException e) {
            LOGGER.warn("{} stays: {}", folder, e.toString()); // another user's
        }
        remove(folder);
    }

    private static void remove(Path path) {
        try {
            Files.deleteIfExists(path);
        } catch (IOException e) {
            LOGGER.warn("{} stays: {}", path, e.toString());
        }
    }
}
