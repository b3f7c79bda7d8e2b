package strandline.flink;

import java.io.IOException;
import java.io.InterruptedIOException;
import java.util.ArrayList;
import java.util.Collection;
import java.util.List;
import java.util.TreeMap;
import org.apache.flink.api.connector.sink2.CommittingSinkWriter;
import org.apache.flink.api.connector.sink2.StatefulSinkWriter;
import org.apache.flink.shaded.jackson2.com.fasterxml.jackson.databind.node.ObjectNode;
import org.slf4j.Logger;
import org.slf4j.LoggerFactory;

/**
 * The one authority on a stream's positions while a job runs: makes a committable of each epoch and
 * checks that every partition goes on where it stood.
 */
final class ModelStoreWriter
        implements StatefulSinkWriter<byte[], WriterState>,
                CommittingSinkWriter<byte[], Committable> {
    private static final Logger LOG = LoggerFactory.getLogger(ModelStoreWriter.class);
    private static final long POLL_MS = 50;

    private final JobSettings settings;
    private final Store store;
    private final List<Committable> epochs = new ArrayList<>();
    private long head;
    private Opens.Found open;
    private String run;
    private TreeMap<Integer, Long> positions;

    private ModelStoreWriter(JobSettings settings) {
        this.settings = settings;
        this.store = Store.open(settings.storeUrl());
    }

    /** A fresh start: run and positions are the open's, looked up at the first element. */
    static ModelStoreWriter fresh(JobSettings settings) {
        return new ModelStoreWriter(settings);
    }

    /**
     * After a restore, and after the restored epochs were committed again: run and positions are
     * the state's. The open that says so is appended, or found if this restore is not the first.
     */
    static ModelStoreWriter restored(
            JobSettings settings, long checkpoint, Collection<WriterState> recovered)
            throws IOException {
        if (recovered.size() != 1) {
            throw Fatal.because("refused", "checkpoint " + checkpoint + " holds " + recovered.size()
                    + " states of the sink's writer, expected 1; start again without it: the job"
                    + " goes on from the store's head");
        }
        WriterState state = recovered.iterator().next();
        ModelStoreWriter writer = new ModelStoreWriter(settings);
        try {
            TopicSource.requireSameAtFirstRestore(settings, writer.store);
            writer.open = Opens.findOrAppend(
                    writer.store,
                    settings.stream(),
                    settings.restoredKey(checkpoint),
                    (head, now) -> new Opens.Opening(
                            settings.stream(),
                            state.run(),
                            settings.restoredKey(checkpoint),
                            state.positions(),
                            now == null ? new TreeMap<>() : now.source(),
                            System.currentTimeMillis(),
                            settings.takeover(),
                            settings.oneStream()));
            writer.run = state.run();
            writer.positions = state.positions();
        } catch (InterruptedException e) {
            throw interrupted(e);
        }
        return writer;
    }

    @Override
    public void write(byte[] element, Context context) throws IOException, InterruptedException {
        switch (element[0]) {
            case 'P' -> prepared(Prepared.parse(element));
            case 'F' -> {
                ObjectNode failure = Element.content(element);
                throw Fatal.because(Json.text(failure, "code"), Json.text(failure, "message"));
            }
            default -> throw new IllegalStateException(
                    "the sink got an element of kind " + (char) element[0]);
        }
    }

    @Override
    public void flush(boolean endOfInput) {
        // An element is an epoch: there is nothing between them to write out.
    }

    @Override
    public Collection<Committable> prepareCommit() {
        List<Committable> prepared = List.copyOf(epochs);
        epochs.clear();
        return prepared;
    }

    @Override
    public List<WriterState> snapshotState(long checkpoint) {
        return open == null ? List.of() : List.of(new WriterState(run, new TreeMap<>(positions)));
    }

    @Override
    public void close() {
        // Holds nothing open.
    }

    private void prepared(Prepared prepared) throws InterruptedException {
        if (open == null) {
            open = Retry.untilThere(settings.freshKey().toString(), POLL_MS,
                            () -> Opens.find(store, settings.stream(), settings.freshKey()))
                    .requireInForce(settings.stream());
            run = open.entry().run();
            positions = open.entry().positions();
        }
        if (prepared.moves().isEmpty()) {
            endIfSuperseded();
            return;
        }
        if (!prepared.run().equals(run) || prepared.start() != open.version()) {
            throw new IllegalStateException("the merger stands on run " + prepared.run()
                    + " from version " + prepared.start() + ", the writer on run " + run
                    + " from version " + open.version());
        }
        TreeMap<Integer, Long> after = new TreeMap<>(positions);
        TreeMap<Integer, Long> first = new TreeMap<>();
        for (Prepared.Move move : prepared.moves()) {
            Long stood = after.put(move.partition(), move.to());
            if (stood == null) {
                first.put(move.partition(), move.from());
            } else if (stood != move.from()) {
                throw Fatal.because("gap", String.format(
                        "stream %s: partition %d stood at %d, but the epoch read [%d, %d); nothing"
                                + " of it was committed. Start again without a savepoint: the job"
                                + " reads from head's positions %s",
                        settings.stream(), move.partition(), stood, move.from(), move.to(),
                        positions));
            }
        }
        epochs.add(Committable.render(settings.stream(), run, positions, after, first, prepared));
        positions = after;
    }

    /** A stream without events has no commit that would be refused: its job looks here. */
    private void endIfSuperseded() {
        try {
            long newest = store.head(Math.max(head, open.version()));
            if (newest == head) {
                return;
            }
            StreamEntry now = store.read(newest).streams().get(settings.stream());
            if (now == null || !now.run().equals(run)) {
                throw Commit.superseded(newest, settings.stream(), now, run);
            }
            head = newest;
        } catch (IOException e) {
            LOG.warn("the store did not answer, looking again at the next checkpoint", e);
        }
    }

    private static IOException interrupted(InterruptedException cause) {
        Thread.currentThread().interrupt();
        return (IOException) new InterruptedIOException("interrupted").initCause(cause);
    }
}
