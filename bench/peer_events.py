"""Events from a topic, for the loops that the peers' Python runs: it has nothing of ours."""

from collections.abc import Iterator

from kafka import KafkaConsumer, TopicPartition


def batches(bootstrap: str, topic: str, events: int, size: int) -> Iterator[list[bytes]]:
    """Yield `events` events of a topic from its beginning, `size` at most at a time."""
    consumer = KafkaConsumer(
        bootstrap_servers=bootstrap,
        enable_auto_commit=False,
        fetch_max_bytes=16 << 20,
        max_partition_fetch_bytes=4 << 20,
        max_poll_records=size,
    )
    partitions = [TopicPartition(topic, p) for p in consumer.partitions_for_topic(topic)]
    consumer.assign(partitions)
    consumer.seek_to_beginning(*partitions)
    while events > 0:
        for records in consumer.poll(1000).values():
            values = [record.value for record in records[:events]]
            events -= len(values)
            if values:
                yield values
    consumer.close()
