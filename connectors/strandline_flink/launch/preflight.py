"""What a run needs, checked before anything is started: each failure is one clear message."""

import contextlib
import logging
from base64 import urlsafe_b64encode
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from difflib import get_close_matches
from typing import Any, Final, NamedTuple
from uuid import UUID

from kafka import KafkaConsumer, TopicPartition
from kafka.admin import KafkaAdminClient
from kafka.errors import KafkaError, TopicAuthorizationFailedError
from kafka.net.compat import KafkaNetClient

from strandline.commit.opening import check_one_stream, check_topic_free
from strandline.errors import EnvironmentUnfit
from strandline.learners.loading import make_learners, one_stream_tables, schemas_of
from strandline.spec import Spec
from strandline.store import Store, create_store
from strandline.tables.memory import check_memory
from strandline_flink import jars
from strandline_flink.job.kafka_reason import not_allowed, reason
from strandline_flink.job.kafka_settings import KafkaSettings
from strandline_flink.job.options import JobOptions
from strandline_flink.processes.java_home import java_home

BROKER_TIMEOUT_MS: Final = 6_000
TRIAL_BYTES: Final = 1 << 20  # a store that is full or read-only makes a job wait, not fail


class Ends(NamedTuple):
    """Where a partition ends: for readers, who stop before an open transaction, and in truth."""

    stable: int
    newest: int


@dataclass(frozen=True, slots=True)
class Topic:
    """The topic that a run reads, as far as its client needs to know it."""

    bootstrap: str
    name: str
    settings: KafkaSettings

    def partitions(self) -> int:
        """How many partitions it has.

        Raises `EnvironmentUnfit` if the broker does not answer, refuses us, or has no such topic.
        """
        with self._consumer() as consumer:
            found = consumer.partitions_for_topic(self.name)
            if found:
                return len(found)
            topics = [name for name in consumer.topics() if not name.startswith("__")]
            known = get_close_matches(self.name, sorted(topics), n=20, cutoff=0)
            if not self._allowed():
                raise EnvironmentUnfit(not_allowed(self.name, self.bootstrap, self.settings))
            raise EnvironmentUnfit(
                f"topic {self.name!r} does not exist at {self.bootstrap}; it has "
                f"{', '.join(known) or 'no topics'}{', …' if len(topics) > len(known) else ''}."
                " Create it, or check --topic"
            )

    def ends(self) -> dict[int, int]:
        """Per partition the position after its last event that a reader may see."""
        return self._ends("read_committed")

    def all_ends(self) -> dict[int, Ends]:
        """Per partition what a reader may see, and what is there."""
        stable, newest = self._ends("read_committed"), self._ends("read_uncommitted")
        return {each: Ends(end, newest.get(each, end)) for each, end in stable.items()}

    def _ends(self, isolation_level: str) -> dict[int, int]:
        with self._consumer(isolation_level) as consumer:
            found = consumer.partitions_for_topic(self.name) or ()
            ends = consumer.end_offsets(
                [TopicPartition(self.name, each) for each in found], timeout_ms=BROKER_TIMEOUT_MS
            )
        return {partition.partition: end for partition, end in ends.items()}

    def source(self) -> dict[str, str]:
        """What tells it from every other topic: the words that the job puts into its versions."""
        with self._connected(KafkaAdminClient) as admin:
            (described,) = admin.describe_topics([self.name])
            cluster = admin.describe_cluster()["cluster_id"]
        topic_id = urlsafe_b64encode(UUID(str(described["topic_id"])).bytes)
        return {
            "cluster": cluster,
            "topic": self.name,
            "topic_id": topic_id.decode().rstrip("="),  # as Java spells it
        }

    def _allowed(self) -> bool:
        """Whether the broker tells this user about the topic; one that it keeps it hides."""
        with self._connected(KafkaAdminClient) as admin:
            (described,) = admin.describe_topics([self.name])
        return bool(described["error_code"] != TopicAuthorizationFailedError.errno)

    def _consumer(
        self, isolation_level: str = "read_committed"
    ) -> contextlib.AbstractContextManager[Any]:
        return self._connected(
            KafkaConsumer, isolation_level=isolation_level, enable_auto_commit=False
        )

    @contextlib.contextmanager
    def _connected(self, client: Callable[..., Any], **options: Any) -> Iterator[Any]:
        def network(**settings: Any) -> KafkaNetClient:
            made = KafkaNetClient(**settings)
            stack.callback(made.close)  # a client that met no broker leaves its thread behind
            return made

        try:
            with quiet_client(), contextlib.ExitStack() as stack:
                yield client(
                    bootstrap_servers=self.bootstrap.split(","),
                    bootstrap_timeout_ms=BROKER_TIMEOUT_MS,
                    kafka_client=network,
                    **options,
                    **self.settings.client_options(),
                )
        except KafkaError as error:
            if isinstance(error, TopicAuthorizationFailedError):
                said = not_allowed(self.name, self.bootstrap, self.settings)
            else:
                said = reason(self.bootstrap, self.settings)
            raise EnvironmentUnfit(said) from None
        except (OSError, ValueError) as error:
            raise EnvironmentUnfit(
                f"cannot connect to Kafka at {self.bootstrap!r}: {error}. "
                "Expected HOST:PORT, several with commas"
            ) from None


@contextlib.contextmanager
def quiet_client() -> Iterator[None]:
    """Without the client's own words on stderr: what it finds comes back as one error."""
    logger = logging.getLogger("kafka")
    before = logger.level
    logger.setLevel(logging.CRITICAL + 1)
    try:
        yield
    finally:
        logger.setLevel(before)


@dataclass(frozen=True, slots=True)
class Checked:
    """What the checks found."""

    store: Store
    topic: Topic
    partitions: int


def check(options: JobOptions) -> Checked:
    """Check everything that would fail later, and make the store if there is none.

    Raises
    ------
    SpecError
        The spec cannot be read.
    EnvironmentUnfit
        No broker, no topic, wrong credentials, no Java, no scikit-learn where the spec needs it,
        tables that do not fit in this machine's memory where the job runs on it.
    SecondStream
        The store is fed by another stream, and a merge rule of the spec does not commute.
    TopicTaken
        Another stream of the store reads the topic, and `topic_again` is not set.
    StoreError
        The store cannot be read or written, or holds another spec.
    """
    spec = Spec.load(options.spec)
    learners = make_learners(spec)
    if not options.flink:
        check_memory(schemas_of(learners).values())
    java_home()
    topic = Topic(options.bootstrap, options.topic, KafkaSettings.load(options.kafka_config))
    partitions = topic.partitions()
    store = create_store(options.store_url, spec)
    store.check_writable(TRIAL_BYTES)
    check_one_stream(store, options.stream, one_stream_tables(learners))
    if not options.topic_again:
        check_topic_free(store, options.stream, topic.source)
    jars.paths("connector")
    jars.compiled()
    return Checked(store, topic, partitions)
