"""What a run waits for, in words: said when it begins and when it is over."""

from dataclasses import dataclass
from enum import Enum, unique

from strandline.cli.output import age
from strandline.cli.version_view import moment


@unique
class Kind(Enum):
    """What is waited for: its short name with a verb, its remedy, its end."""

    BROKER = (
        "no Kafka broker has answered for {age}",
        "The job waits, and goes on by itself when one answers",
        "a Kafka broker answers again after {age}, and the job goes on",
    )
    STORE = (
        "the store has not answered for {age}",
        "The job waits for its store, and goes on by itself when that answers",
        "the store answers again after {age}, and the job goes on",
    )
    TRANSACTION = (
        "events wait behind an open transaction for {age}",
        "The job goes on by itself when the producer ends its transaction, or when Kafka does so "
        "after the producer's transaction.timeout.ms; kafka-transactions.sh can abort it now",
        "the transaction has ended after {age}, and the job goes on",
    )
    STALL = (
        "no version for {age}",
        "Nothing that the command can see is wrong: look into the job's log",
        "versions come again after {age}",
    )

    def __init__(self, short: str, remedy: str, over: str) -> None:
        self.short, self.remedy, self.over = short, remedy, over


@dataclass(frozen=True, slots=True)
class Trouble:
    """What is waited for, since when, and what was met there."""

    kind: Kind
    since_ms: int
    reason: str

    def begun(self) -> str:
        """The warning when it is found: since when, what, what to do."""
        return f"since {moment(self.since_ms)} {self.reason}. {self.kind.remedy}"

    def lasting(self, now_ms: int) -> str:
        """A few words for the line that shows the run's state."""
        return self.kind.short.format(age=age(self.since_ms, now_ms))

    def over(self, now_ms: int) -> str:
        """The warning when it has passed."""
        return self.kind.over.format(age=age(self.since_ms, now_ms))


class Told:
    """Which troubles the user was told about."""

    def __init__(self) -> None:
        self._told: dict[Kind, Trouble] = {}

    def news(self, troubles: dict[Kind, Trouble], now_ms: int) -> list[str]:
        """What is to be said now: troubles that came, and those that passed."""
        passed = [each for kind, each in self._told.items() if kind not in troubles]
        came = [each for kind, each in troubles.items() if kind not in self._told]
        self._told = dict(troubles)
        return [each.over(now_ms) for each in passed] + [each.begun() for each in came]
