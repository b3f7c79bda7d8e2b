"""Whether a command has learned what it read: its last line and its exit code say so."""

from strandline.cli.output import count, plural
from strandline.errors import EventsNotLearned


def counts_text(rejected: int, refused: int) -> str:
    """How many events were not learned, for a last line; refused ones only if there are any.

    >>> counts_text(3, 0), counts_text(0, 1200)
    ('3 rejected', '0 rejected, 1,200 refused')
    """
    return f"{count(rejected)} rejected" + (f", {count(refused)} refused" if refused else "")


def check_learned(*, events: int, learned: int, refused: int, store: str) -> None:
    """Raise `EventsNotLearned` if none of the events was learned, or if some were refused."""
    see = f"`strandline show {store} --rejects` lists rejected events with their reasons"
    if refused:
        raise EventsNotLearned(
            f"{plural(refused, 'event')} of {count(events)} are refused: no version has learned"
            f" them; `strandline show {store} VERSION` says why, `strandline log {store}` which"
            f" versions; {see}"
        )
    if events and not learned:
        raise EventsNotLearned(
            f"none of the {plural(events, 'event')} read was learned: all are rejected; {see}"
        )
