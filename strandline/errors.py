"""Every error a user of Strandline can meet, under one root.

::

    StrandlineError
    ├── SpecError               a spec that cannot be read
    ├── WrongUsage              a call or an argument that cannot be meant
    ├── EventRejected           an event handed to `predict` that cannot be decoded
    ├── EnvironmentUnfit        Python, Java, disk, broker: what a run needs and does not find
    ├── StoreError
    │   ├── NoStore             there is no store at this place
    │   ├── StoreExists         there is one already, of another spec
    │   ├── StoreDamaged        a file is missing, altered or not of this format
    │   │   ├── FileMissing     a file that a manifest names is not there
    │   │   └── DeltaDamaged    a delta that cannot be added to the tables of its spec
    │   ├── VersionGone         the data of a version was removed by compaction
    │   │   └── HistoryGone     the version itself was dropped: history begins later
    │   └── StoreUnavailable    the folder cannot be read or written
    │       └── ModelStale      a reader's model is older than was asked for
    ├── MergeError              a merged value is not finite
    ├── EventsNotLearned        done, but nothing or not all of it was learned
    ├── VersionDiffers          training a version again gives other bits
    ├── TooManyRejected         the stream is not what the spec describes
    ├── StreamUnfit             the stream and the store do not fit together
    │   ├── RetentionPassed     events after the store's positions are gone
    │   ├── SourceRecreated     another topic under the same name
    │   ├── SourceBehind        the store's positions lie after the stream's end
    │   ├── SecondStream        the model's rules allow one stream only
    │   └── TopicTaken          another stream of the store reads the topic
    ├── StreamContested         several runs supersede each other in turn
    └── CommitRefused           a commit that must not be tried again
        ├── Superseded          another run holds the stream
        ├── Rival               another commit covers the same events
        └── Gap                 events between head and this commit are missing

`code` names the error across processes: Java and the job's client use the same words.
`exit_code` is what the command line ends with.
"""

from typing import ClassVar


class StrandlineError(Exception):
    """Root of all errors that a user can cause and mend. The message holds the remedy."""

    code: ClassVar[str] = "error"
    exit_code: ClassVar[int] = 1


class SpecError(StrandlineError):
    """A spec that cannot be read or does not hold together."""

    code = "spec"
    exit_code = 2


class WrongUsage(StrandlineError, ValueError):
    """An argument whose value is out of range or not of its form, or a call out of turn."""

    code = "usage"
    exit_code = 2


class EventRejected(StrandlineError):
    """An event handed to `predict` that the spec cannot decode."""

    code = "event_rejected"
    exit_code = 2


class EnvironmentUnfit(StrandlineError):
    """Something a run needs from the machine or the network is not there."""

    code = "environment"
    exit_code = 3


class StoreError(StrandlineError):
    """Root of what can be wrong with a store."""

    code = "store"
    exit_code = 4


class NoStore(StoreError):
    """There is no store at this place."""

    code = "no_store"


class StoreExists(StoreError):
    """There is a store already, and it holds another spec."""

    code = "store_exists"


class StoreDamaged(StoreError):
    """A file of the store is missing, altered, or not of a format this release reads."""

    code = "store_damaged"


class FileMissing(StoreDamaged):
    """A file that a manifest names, or a base, is not there."""

    code = "file_missing"


class DeltaDamaged(StoreDamaged):
    """A delta that cannot be added to the tables of its spec. Nothing of it is applied."""

    code = "delta_damaged"


class VersionGone(StoreError):
    """A version's manifest is there; the data to open it was removed once a base covered it."""

    code = "version_gone"


class HistoryGone(VersionGone):
    """A version was dropped with all that it recorded: history begins at a later one."""

    code = "history_gone"


class StoreUnavailable(StoreError):
    """The store's folder cannot be read or written: permissions, space, file system."""

    code = "store_unavailable"


class ModelStale(StoreUnavailable):
    """A reader cannot say that its model was the newest as lately as was asked for."""

    code = "stale"


class MergeError(StrandlineError):
    """A merged value is not finite. Nothing of the epoch is committed."""

    code = "merge"
    exit_code = 5


class TooManyRejected(StrandlineError):
    """The share of rejected events passed the spec's limit: most likely the wrong topic."""

    code = "too_many_rejected"
    exit_code = 5


class EventsNotLearned(StrandlineError):
    """All that was asked for was read, but none of it was learned, or some of it was refused."""

    code = "not_learned"
    exit_code = 10


class VersionDiffers(StrandlineError):
    """Training a version again from its events gives another result than the version holds."""

    code = "differs"
    exit_code = 11


class StreamUnfit(StrandlineError):
    """The stream cannot go on from the store's positions."""

    code = "stream_unfit"
    exit_code = 6


class RetentionPassed(StreamUnfit):
    """The stream no longer holds the events after the store's positions."""

    code = "retention"


class SourceRecreated(StreamUnfit):
    """The topic has the same name but is not the one the store has read."""

    code = "recreated"


class SourceBehind(StreamUnfit):
    """The stream ends before the store's positions."""

    code = "source_behind"


class SecondStream(StreamUnfit):
    """The store holds another stream, and a table's merge rule does not commute."""

    code = "second_stream"


class TopicTaken(StreamUnfit):
    """Another stream of the store reads the topic: its events would count twice."""

    code = "topic_taken"


class StreamContested(StrandlineError):
    """Several runs supersede each other in turn; a start needs an explicit takeover."""

    code = "contested"
    exit_code = 7


class CommitRefused(StrandlineError):
    """Root of the refusals of a commit. None of them is worth a retry."""

    code = "refused"
    exit_code = 8


class Superseded(CommitRefused):
    """Another run holds the stream. A supervisor must not restart on this exit code."""

    code = "superseded"
    exit_code = 9


class Rival(CommitRefused):
    """Another commit of the same run covers the same events."""

    code = "rival"


class Gap(CommitRefused):
    """The commit does not start where head stands."""

    code = "gap"
