package strandline.flink;

import java.io.IOException;
import java.nio.ByteBuffer;
import java.nio.channels.FileChannel;
import java.nio.charset.StandardCharsets;
import java.nio.file.Path;
import org.apache.flink.shaded.jackson2.com.fasterxml.jackson.databind.JsonNode;
import org.apache.flink.shaded.jackson2.com.fasterxml.jackson.databind.node.ObjectNode;

/**
 * The manifests of one full folder of versions in one file, under the folder's name. Twin of {@code
 * strandline/store/segment.py}; Java only reads it, a few manifests in a job's life.
 */
final class Segment {
    private static final int HEADER_BYTES_MAX = 1 << 20;

    private Segment() {}

    /** The bytes of a packed version's manifest. */
    static byte[] manifest(Path file, long version) throws IOException {
        try (FileChannel channel = FileChannel.open(file)) {
            byte[] start = read(channel, 0, (int) Math.min(HEADER_BYTES_MAX, channel.size()));
            int line = 0;
            while (line < start.length && start[line] != '\n') {
                line++;
            }
            ObjectNode header = Json.parse(new String(start, 0, line, StandardCharsets.UTF_8));
            long index = version - Json.integer(header, "first");
            JsonNode lengths = Json.get(header, "lengths");
            long begin = line + 1L;
            long end = begin;
            long length = 0;
            for (int i = 0; i < lengths.size(); i++) {
                long bytes = Json.integer(lengths.get(i));
                if (i == index) {
                    begin = end;
                    length = bytes;
                }
                end += bytes + 1; // each ends with a newline of its own
            }
            boolean fits = Json.integer(header, "format") == 1 && end == channel.size()
                    && index >= 0 && index < lengths.size() && length <= Manifest.BYTES_MAX;
            if (!fits) {
                throw new IllegalArgumentException(channel.size() + " bytes, expected " + end);
            }
            return read(channel, begin, (int) length);
        } catch (IllegalArgumentException | ClassCastException e) {
            throw Fatal.damaged(file + " is no segment that holds version " + version + ": "
                    + e.getMessage() + "; run `strandline fsck` on the store");
        }
    }

    private static byte[] read(FileChannel channel, long from, int length) throws IOException {
        ByteBuffer buffer = ByteBuffer.allocate(length);
        while (buffer.hasRemaining() && channel.read(buffer, from + buffer.position()) >= 0) {
            // a read may be short
        }
        return buffer.array();
    }
}
