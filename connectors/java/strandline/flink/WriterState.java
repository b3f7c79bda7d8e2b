package strandline.flink;

import java.util.TreeMap;

/** What a checkpoint keeps of the stream: its run, and the positions of all its partitions. */
record WriterState(String run, TreeMap<Integer, Long> positions) {}
