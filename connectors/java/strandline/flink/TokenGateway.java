package strandline.flink;

import java.io.DataOutputStream;
import java.io.IOException;
import java.net.InetAddress;
import java.nio.file.Files;
import java.nio.file.Path;
import java.security.SecureRandom;
import java.util.HexFormat;
import java.util.Map;
import java.util.concurrent.ConcurrentHashMap;
import org.apache.flink.api.python.shaded.py4j.CallbackClient;
import org.apache.flink.api.python.shaded.py4j.Gateway;
import org.apache.flink.api.python.shaded.py4j.GatewayServer;
import org.apache.flink.client.python.PythonGatewayServer;

/**
 * PyFlink's gateway for calls between Python and Java, but for one thing: whoever calls must know a
 * token. Without it every user of the machine could run code here as this one. Port and token go to
 * Python in a file that only this user may read; `job/gateway.py` is the other side.
 */
public final class TokenGateway {
    private static final int TOKEN_BYTES = 32;
    private static final long CHECK_MS = 100;
    private static final int CHECKS_MAX = 600;

    private TokenGateway() {}

    public static void main(String[] arguments) throws Exception {
        byte[] random = new byte[TOKEN_BYTES];
        new SecureRandom().nextBytes(random);
        String token = HexFormat.of().formatHex(random);
        InetAddress here = InetAddress.getLoopbackAddress();
        Map<String, Object> entries = new ConcurrentHashMap<>();
        GatewayServer server = new GatewayServer.GatewayServerBuilder()
                .gateway(new Gateway(entries, new CallbackClient(0, here, token)))
                .javaAddress(here)
                .javaPort(0)
                .authToken(token)
                .build();
        server.start(true);
        tell(Path.of(System.getenv("_PYFLINK_CONN_INFO_PATH")), server.getListeningPort(), token);
        try {
            for (int check = 0; check < CHECKS_MAX && !entries.containsKey("Watchdog"); check++) {
                Thread.sleep(CHECK_MS);
            }
            var watchdog = (PythonGatewayServer.Watchdog) entries.get("Watchdog");
            while (watchdog != null && watchdog.ping()) { // fails when Python is gone
                Thread.sleep(CHECK_MS);
            }
        } finally {
            System.exit(1);
        }
    }

    private static void tell(Path file, int port, String token) throws IOException {
        Path written = Files.createTempFile(file.getParent(), "connection", ".info"); // mode 0600
        try (var stream = new DataOutputStream(Files.newOutputStream(written))) {
            stream.writeInt(port);
            stream.writeBytes(token);
        }
        Files.move(written, file);
    }
}
