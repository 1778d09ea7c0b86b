"""When the user speaks, the same for every arm: each question into the reply to the one before, false alarms in between.

Imported by our nodes and by Pipecat's process, so it needs nothing but the standard library.
"""

from __future__ import annotations

from collections.abc import Sequence

from bench.voice.script import PATIENCE_NS, Floor, Over

LISTENS_NS = 1_000_000_000  # to a reply before it is interrupted
WATCHED_NS = 4_000_000_000  # after a false alarm: longer than Pipecat's judge can take (3 s), shorter than a reply
REPLY_MS = 15_000  # longer than all of that together
TAKES_MS = 100  # each of the stand-ins

DROPPED = "dropped"  # a note: the reply is given up, nothing brings it back


def over(alarms: Sequence[bool]) -> Over:
    """The rule; `alarms`: which of the sounds are false alarms, by their numbers."""

    def next_may_come(number: int, now_ns: int, asked_ns: int, spoken_ns: int, floor: Floor) -> bool:
        if alarms[number]:
            return now_ns - spoken_ns >= WATCHED_NS
        if floor.began_ns > spoken_ns:
            return now_ns - floor.began_ns >= LISTENS_NS
        return now_ns - spoken_ns >= PATIENCE_NS

    return next_may_come
