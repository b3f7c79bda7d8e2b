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

/**
 * The one authority on a stream's positions while a job runs: makes a committable of each epoch and
 * checks that every partition goes on where it stood.
 */
final class ModelStoreWriter
        implements StatefulSinkWriter<byte[], WriterState>,
                CommittingSinkWriter<byte[], Committable> {
    private static final long POLL_MS = 50;

    private final JobSettings settings;
    private final StreamCalls store;
    private final SupersededCheck check;
    private final List<Committable> epochs = new ArrayList<>();
    private StreamCalls.Open open;
    private String run;
    private TreeMap<Integer, Long> positions;

    private ModelStoreWriter(JobSettings settings) {
        this.settings = settings;
        this.store = new StreamCalls(settings);
        this.check = new SupersededCheck(store);
    }

    private ModelStoreWriter(JobSettings settings, long checkpoint, WriterState state)
            throws IOException {
        this(settings);
        try {
            TopicSource.requireSameAtFirstRestore(settings, store);
            open = Retry.untilAnswered("open of " + settings.stream(),
                    () -> store.open(state.run(), checkpoint, state.positions(), null));
            run = state.run();
            positions = state.positions();
        } catch (InterruptedException e) {
            Thread.currentThread().interrupt();
            throw (IOException) new InterruptedIOException("interrupted").initCause(e);
        } finally {
            if (open == null) {
                close();
            }
        }
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
        return new ModelStoreWriter(settings, checkpoint, recovered.iterator().next());
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
        check.close();
        store.close();
    }

    private void prepared(Prepared prepared) throws InterruptedException {
        if (open == null) {
            open = Retry.untilThere("the open of " + settings.submission(), POLL_MS,
                    () -> store.findOpen(null));
            run = open.run();
            positions = open.positions();
        }
        if (prepared.moves().isEmpty()) {
            check.next(run, open.version());
            return;
        }
        if (!prepared.run().equals(run) || prepared.start() != open.version()) {
            throw new IllegalStateException("the merger stands on run " + prepared.run()
                    + " from version " + prepared.start() + ", the writer on run " + run
                    + " from version " + open.version());
        }
        TreeMap<Integer, Long> after = new TreeMap<>(positions);
        for (Prepared.Move move : prepared.moves()) {
            Long stood = after.put(move.partition(), move.to());
            if (stood != null && stood != move.from()) {
                throw Fatal.because("gap", String.format(
                        "stream %s: partition %d stood at %d, but the epoch read [%d, %d); nothing"
                                + " of it was committed. Start again without a savepoint: the job"
                                + " reads from head's positions %s",
                        settings.stream(), move.partition(), stood, move.from(), move.to(),
                        positions));
            }
        }
        epochs.add(new Committable(run, positions, prepared.text()));
        positions = after;
    }
}
