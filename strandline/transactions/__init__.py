"""The whole of it in one process, without Flink: streams, transactions, learning from a file."""
