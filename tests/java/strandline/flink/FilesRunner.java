package strandline.flink;

import java.nio.charset.StandardCharsets;

/**
 * Hands over one element of {@code SIZE} bytes in a folder below {@code ROOT}, prints what goes
 * through gRPC, waits for its input to end, closes.
 */
public final class FilesRunner {
    private FilesRunner() {}

    public static void main(String[] args) throws Exception {
        System.setProperty("strandline.files", args[0]);
        ElementFiles files = ElementFiles.make();
        byte[] element = "x".repeat(Integer.parseInt(args[1])).getBytes(StandardCharsets.UTF_8);
        byte[] sent = files.handOver(element);
        System.out.println(new String(sent, StandardCharsets.UTF_8));
        System.out.flush();
        System.in.readAllBytes();
        if (args.length > 2) {
            System.out.println(ElementFiles.take(sent).length);
        }
        files.close();
    }
}
