package strandline.flink;

import java.io.BufferedReader;
import java.io.DataInputStream;
import java.io.DataOutputStream;
import java.io.IOException;
import java.io.InputStreamReader;
import java.net.InetAddress;
import java.net.UnknownHostException;
import java.nio.charset.StandardCharsets;
import java.util.List;
import java.util.concurrent.ExecutionException;
import java.util.concurrent.ExecutorService;
import java.util.concurrent.Executors;
import java.util.concurrent.TimeUnit;
import java.util.concurrent.TimeoutException;
import org.apache.flink.shaded.jackson2.com.fasterxml.jackson.databind.node.ObjectNode;
import org.slf4j.Logger;
import org.slf4j.LoggerFactory;

/**
 * One store agent: a child process that is asked one thing at a time, see {@code
 * strandline/commit/agent.py}. After a call that did not end well it is killed and never asked
 * again. It ends with this JVM, whose end closes its standard input.
 */
final class AgentProcess {
    private static final Logger LOG = LoggerFactory.getLogger(AgentProcess.class);
    private static final int FRAME_BYTES_MAX = 1 << 26;
    private static final long START_MS = 60_000;
    private static final int LINES_LOGGED = 100;
    private static final int LINE_CHARACTERS = 500;

    private final StoreAgent.Address address;
    private final Process process;
    private final ExecutorService pipes;
    private volatile String lastLine = "";
    private volatile boolean killed; // the process may take a moment to notice

    private AgentProcess(StoreAgent.Address address, Process process) {
        this.address = address;
        this.process = process;
        // Nothing interrupts a thread that reads a pipe: so it is not the asking one.
        this.pipes = Executors.newSingleThreadExecutor(task -> daemon(task, "store-agent"));
        daemon(this::log, "store-agent-log").start();
    }

    /** Starts an agent and greets it. Ends the job if this machine cannot start one. */
    static AgentProcess start(StoreAgent.Address address) throws IOException, InterruptedException {
        AgentProcess agent = new AgentProcess(address, spawn(address));
        ObjectNode hello = Json.object();
        hello.put("call", "hello");
        hello.put("release", address.release());
        try {
            StoreAgent.requireDone(agent.ask(hello, START_MS));
        } catch (IOException e) {
            // A Python that is killed may be started again; one that refuses will refuse again.
            if (agent.process.waitFor(1, TimeUnit.SECONDS) && agent.process.exitValue() < 128) {
                throw unfit(address, agent.lastLine);
            }
            throw e;
        } catch (RuntimeException e) {
            agent.kill();
            throw e;
        }
        return agent;
    }

    private static Process spawn(StoreAgent.Address address) throws IOException {
        ProcessBuilder builder = new ProcessBuilder(List.of(
                address.python(), "-P", "-m", "strandline.commit.agent", address.url()));
        builder.environment().put("PYTHONUTF8", "1");
        try {
            return builder.start();
        } catch (IOException e) {
            String reason = String.valueOf(e.getMessage());
            if (reason.contains("error=2,") || reason.contains("error=13,")) {
                throw unfit(address, reason);
            }
            throw e;
        }
    }

    private static RuntimeException unfit(StoreAgent.Address address, String reason) {
        return Fatal.because("environment", String.format(
                "the job's Python %s does not start strandline's store agent on %s: %s; expected a"
                        + " Python with strandline[flink] under this path on every machine of the"
                        + " job: install it there, or name another path with --python",
                address.python(), host(), reason));
    }

    /** The name of this machine, for messages. */
    static String host() {
        try {
            return InetAddress.getLocalHost().getHostName();
        } catch (UnknownHostException e) {
            return e.getMessage(); // it begins with the name
        }
    }

    boolean isAlive() {
        return !killed && process.isAlive();
    }

    /**
     * The agent's answer.
     *
     * @throws IOException if there is none within the time, or the agent died: the outcome is
     *     unknown
     */
    ObjectNode ask(ObjectNode call, long withinMs) throws IOException, InterruptedException {
        byte[] frame = Json.bytes(call);
        boolean answered = false;
        try {
            ObjectNode answer =
                    pipes.submit(() -> exchange(frame)).get(withinMs, TimeUnit.MILLISECONDS);
            answered = true;
            return answer;
        } catch (TimeoutException e) {
            throw new IOException(
                    "the store agent did not answer within " + withinMs + " ms", e);
        } catch (ExecutionException e) {
            throw new IOException("the store agent ended: " + lastLine, e.getCause());
        } finally {
            if (!answered) { // interrupted, too: nobody waits for what it may still say
                kill();
            }
        }
    }

    void kill() {
        killed = true;
        process.destroyForcibly();
        pipes.shutdown();
    }

    private ObjectNode exchange(byte[] call) throws IOException {
        DataOutputStream out = new DataOutputStream(process.getOutputStream());
        out.writeInt(call.length);
        out.write(call);
        out.flush();
        DataInputStream in = new DataInputStream(process.getInputStream());
        int length = in.readInt();
        if (length <= 0 || length > FRAME_BYTES_MAX) {
            throw new IOException("an answer of " + length + " bytes");
        }
        return Json.parse(in.readNBytes(length));
    }

    /** Its standard error goes to the log, as far as it is worth reading; it is read to its end. */
    private void log() {
        try (BufferedReader lines = new BufferedReader(
                new InputStreamReader(process.getErrorStream(), StandardCharsets.UTF_8))) {
            StringBuilder line = new StringBuilder();
            int logged = 0;
            for (int c = lines.read(); c >= 0; c = lines.read()) {
                if (c != '\n') {
                    if (line.length() < LINE_CHARACTERS) {
                        line.append((char) c);
                    }
                    continue;
                }
                lastLine = line.toString();
                line.setLength(0);
                if (logged++ < LINES_LOGGED) {
                    LOG.warn("store agent of {}: {}", address.url(), lastLine);
                }
            }
        } catch (IOException e) {
            LOG.debug("the store agent's log ended", e);
        }
    }

    private static Thread daemon(Runnable task, String name) {
        Thread thread = new Thread(task, name);
        thread.setDaemon(true);
        return thread;
    }
}
