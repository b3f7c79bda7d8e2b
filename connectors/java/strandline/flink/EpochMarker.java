package strandline.flink;

import java.util.Map;
import java.util.TreeMap;
import java.util.stream.IntStream;
import org.apache.flink.api.common.TaskInfo;
import org.apache.flink.api.common.state.ListState;
import org.apache.flink.api.common.state.ListStateDescriptor;
import org.apache.flink.api.common.typeutils.base.IntSerializer;
import org.apache.flink.runtime.state.StateInitializationContext;
import org.apache.flink.shaded.jackson2.com.fasterxml.jackson.databind.node.ArrayNode;
import org.apache.flink.shaded.jackson2.com.fasterxml.jackson.databind.node.ObjectNode;
import org.apache.flink.streaming.api.operators.AbstractStreamOperator;
import org.apache.flink.streaming.api.operators.BoundedOneInput;
import org.apache.flink.streaming.api.operators.OneInputStreamOperator;
import org.apache.flink.streaming.runtime.streamrecord.StreamRecord;
import org.apache.flink.streaming.runtime.tasks.ProcessingTimeService;
import org.slf4j.Logger;
import org.slf4j.LoggerFactory;

/**
 * Tells the worker behind it, in-band, where its run starts (START) and its epochs end (MARK).
 *
 * <p>Must be chained to the {@link BlockSource}: then blocks and MARKs leave one thread in one
 * order, and a MARK names exactly the blocks that the source's checkpoint covers.
 *
 * <p>It waits for the open in {@link #open()}, before Flink lets any barrier reach it. So a
 * completed checkpoint implies that the open stands, and all workers load the version that it is.
 */
public final class EpochMarker extends AbstractStreamOperator<byte[]>
        implements OneInputStreamOperator<byte[], byte[]>, BoundedOneInput {
    private static final long serialVersionUID = 1L;
    private static final Logger LOGGER = LoggerFactory.getLogger(EpochMarker.class);
    private static final long POLL_MS = 50;
    /** After open(): the source has its splits by then, and connects while the worker loads. */
    private static final long START_MS = 20;

    /** Stands for the checkpoint that follows the end of the input: its id is not known there. */
    static final long END_OF_INPUT = Long.MAX_VALUE;

    private final JobSettings settings;

    private transient Long restored;
    private transient StreamCalls store;
    private transient StreamCalls.Open open;
    private transient boolean started;
    private transient boolean ended;
    private transient TreeMap<Integer, long[]> moves;

    public EpochMarker(JobSettings settings) {
        this.settings = settings;
    }

    @Override
    public void initializeState(StateInitializationContext context) throws Exception {
        super.initializeState(context);
        // Flink tells an operator without state of no restored checkpoint, and on a rescale it
        // deals the elements of all subtasks out evenly: so there is one for each that may be.
        // Nothing else is kept: splits and this state would be handed out independently.
        ListState<Integer> state = context.getOperatorStateStore()
                .getListState(new ListStateDescriptor<>("marker", IntSerializer.INSTANCE));
        TaskInfo task = getRuntimeContext().getTaskInfo();
        state.update(IntStream.range(0, task.getMaxNumberOfParallelSubtasks())
                .filter(each -> each % task.getNumberOfParallelSubtasks()
                        == task.getIndexOfThisSubtask())
                .boxed()
                .toList());
        restored = context.getRestoredCheckpointId().isPresent()
                ? context.getRestoredCheckpointId().getAsLong()
                : null;
        store = new StreamCalls(settings);
    }

    @Override
    public void open() throws Exception {
        super.open();
        moves = new TreeMap<>();
        if (restored == null) {
            Retry.untilSeen(store, settings, "a TaskManager");
        }
        open = Retry.untilThere("the open of " + settings.submission(), POLL_MS,
                () -> store.findOpen(restored));
        LOGGER.info("open stream={} run={} version={} worker={}", settings.stream(),
                open.run(), open.version(),
                getRuntimeContext().getTaskInfo().getIndexOfThisSubtask());
        ProcessingTimeService timers = getProcessingTimeService();
        timers.registerTimer(timers.getCurrentProcessingTime() + START_MS, now -> start());
    }

    @Override
    public void close() throws Exception {
        if (store != null) {
            store.close();
        }
        super.close();
    }

    @Override
    public void processElement(StreamRecord<byte[]> element) {
        start();
        Block block = Block.of(element.getValue());
        long[] move = moves.computeIfAbsent(
                block.partition(), partition -> new long[] {block.from(), block.from()});
        if (move[1] != block.from()) {
            throw new IllegalStateException("blocks of partition " + block.partition()
                    + " do not join: " + move[1] + ", then " + block.from());
        }
        move[1] = block.to();
        output.collect(element);
    }

    @Override
    public void prepareSnapshotPreBarrier(long checkpoint) {
        if (!ended) {
            mark(checkpoint);
        }
    }

    @Override
    public void endInput() {
        mark(END_OF_INPUT);
        ended = true; // the final checkpoint's barrier comes later, when nothing may follow
    }

    /**
     * START is the first output. Not sent by open(): a task must not wait for buffers there. A
     * timer sends it, so that the worker loads its version while the source connects.
     */
    private void start() {
        if (started) {
            return;
        }
        started = true;
        ObjectNode start = Json.object();
        start.put("run", open.run());
        start.put("version", open.version());
        start.put("worker", getRuntimeContext().getTaskInfo().getIndexOfThisSubtask());
        start.put("workers", getRuntimeContext().getTaskInfo().getNumberOfParallelSubtasks());
        output.collect(new StreamRecord<>(Element.of('S', start)));
    }

    private void mark(long checkpoint) {
        start();
        ObjectNode mark = Json.object();
        mark.put("checkpoint", checkpoint);
        ArrayNode list = mark.putArray("moves");
        for (Map.Entry<Integer, long[]> move : moves.entrySet()) {
            list.addArray().add(move.getKey()).add(move.getValue()[0]).add(move.getValue()[1]);
        }
        mark.put("time_ms", System.currentTimeMillis());
        mark.put("worker", getRuntimeContext().getTaskInfo().getIndexOfThisSubtask());
        output.collect(new StreamRecord<>(Element.of('M', mark)));
        moves.clear();
    }
}
