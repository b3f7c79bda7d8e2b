package strandline.flink;

import java.io.IOException;
import java.io.Serializable;
import java.util.HashMap;
import java.util.Map;
import java.util.concurrent.locks.ReentrantLock;
import org.apache.flink.shaded.jackson2.com.fasterxml.jackson.databind.JsonNode;
import org.apache.flink.shaded.jackson2.com.fasterxml.jackson.databind.node.ObjectNode;
import org.slf4j.Logger;
import org.slf4j.LoggerFactory;

/**
 * A JVM's way to ask about a store: all that is known of stores is Python's, and a child process
 * answers. One process serves all that ask in this JVM, in turn; it ends when the last of them has
 * closed.
 *
 * <p>An {@link IOException} means that the outcome is unknown: ask again, see {@link Retry}. What
 * is known to be wrong for good is a {@link Fatal}. An interrupt ends the wait for an answer.
 */
public final class StoreAgent implements AutoCloseable {
    private static final Logger LOG = LoggerFactory.getLogger(StoreAgent.class);
    private static final long ANSWER_MS = Long.getLong("strandline.answer_ms", 120_000);
    private static final Map<Address, Shared> SHARED = new HashMap<>();

    /**
     * Which store, and with what it is asked about.
     *
     * @param python the job's Python, as every machine of the job has it
     * @param release of Strandline, that the job was submitted with
     */
    record Address(String python, String url, String release) implements Serializable {}

    /** What all that ask about a store in this JVM share. */
    private static final class Shared {
        private final ReentrantLock turn = new ReentrantLock(true);
        private AgentProcess agent; // under `turn`
        private boolean ended; // under `turn`
        private int askers; // under SHARED
    }

    private final Address address;
    private final Shared shared;
    private boolean closed;

    private StoreAgent(Address address, Shared shared) {
        this.address = address;
        this.shared = shared;
    }

    /** The way to ask. Begins to start the process, unless it is there, and waits for nothing. */
    static StoreAgent open(Address address) {
        Shared shared;
        synchronized (SHARED) {
            shared = SHARED.computeIfAbsent(address, at -> new Shared());
            shared.askers++;
        }
        StoreAgent made = new StoreAgent(address, shared);
        Thread ahead = new Thread(made::startAhead, "store-agent-start");
        ahead.setDaemon(true);
        ahead.start();
        return made;
    }

    /**
     * The same for a job's client: its process is there when Flink is. It ends with the JVM.
     *
     * @see Address
     */
    public static StoreAgent ahead(String python, String url, String release) {
        return open(new Address(python, url, release));
    }

    /** What the agent answers when the call is done, null if that is nothing. */
    JsonNode ask(ObjectNode call) throws IOException, InterruptedException {
        shared.turn.lockInterruptibly();
        try {
            JsonNode done = requireDone(agent().ask(call, ANSWER_MS));
            return done.isNull() ? null : done;
        } finally {
            shared.turn.unlock();
        }
    }

    /** What an answer says was done. Throws what it says instead. */
    static JsonNode requireDone(ObjectNode answer) throws IOException {
        if (answer.has("done")) {
            return answer.get("done");
        }
        if (answer.has("refused")) {
            throw Fatal.because(Json.text(answer, "refused"), Json.text(answer, "message"));
        }
        if (answer.has("unavailable")) {
            throw new IOException(Json.text(answer, "unavailable"));
        }
        throw new IllegalStateException("the store agent failed: " + answer.get("failed"));
    }

    @Override
    public void close() {
        synchronized (SHARED) {
            if (closed) {
                return;
            }
            closed = true;
            if (--shared.askers > 0) {
                return;
            }
            SHARED.remove(address);
        }
        // Whoever has the turn is interrupted or about to end, and finds that nobody asks any more.
        Thread end = new Thread(this::end, "store-agent-end");
        end.setDaemon(true);
        end.start();
    }

    private void end() {
        shared.turn.lock();
        try {
            shared.ended = true;
            if (shared.agent != null) {
                shared.agent.kill();
                shared.agent = null;
            }
        } finally {
            shared.turn.unlock();
        }
    }

    private void startAhead() {
        try {
            shared.turn.lockInterruptibly();
            try {
                agent();
            } finally {
                shared.turn.unlock();
            }
        } catch (IOException | InterruptedException | RuntimeException e) {
            LOG.debug("the store agent did not start; who asks it hears why", e);
        }
    }

    /** The process, started if there is none; with the turn. */
    private AgentProcess agent() throws IOException, InterruptedException {
        if (shared.ended) {
            throw new IllegalStateException("the way to the store was closed");
        }
        if (shared.agent == null || !shared.agent.isAlive()) {
            shared.agent = null;
            shared.agent = AgentProcess.start(address);
        }
        return shared.agent;
    }
}
