"""How much longer a turn takes in bad company: pure."""

from __future__ import annotations

import statistics
from collections.abc import Sequence
from dataclasses import dataclass

from bench.voice.figures import Session
from bench.voice.script import PATIENCE_NS


@dataclass(frozen=True)
class Growth:
    """Of the median latency, in milliseconds; None where an arm was not there."""

    alone_ms: float | None
    with_ms: float | None

    @property
    def ms(self) -> float | None:
        return None if self.alone_ms is None or self.with_ms is None else self.with_ms - self.alone_ms


def growth(alone: Sequence[Session], company: Sequence[Session]) -> Growth:
    """From the sessions without the neighbour to those with it."""
    return Growth(median_ms(alone), median_ms(company))


def median_ms(sessions: Sequence[Session]) -> float | None:
    """Latency of all turns; of one that was missed at least the patience with which it was waited for."""
    turns = [turn for session in sessions for turn in session.turns]
    found = [PATIENCE_NS / 1e6 if turn.latency_ms is None else turn.latency_ms for turn in turns]
    return statistics.median(found) if found else None


def share(ours: Growth, theirs: Growth) -> float | None:
    """Of their growth; None where they did not grow, and there is nothing to compare."""
    if ours.ms is None or theirs.ms is None or theirs.ms <= 0:
        return None
    return max(0.0, ours.ms) / theirs.ms


def missed(sessions: Sequence[Session]) -> int:
    """Turns that were not answered."""
    return sum(turn.missed for session in sessions for turn in session.turns)


def by_victim(sessions: Sequence[Session], victims: Sequence[str]) -> dict[str, tuple[int, int, float | None]]:
    """Of each node that was killed: turns, how many of them were answered, and their median latency.

    :param victims: of the turns of a session, in their order
    """
    found: dict[str, tuple[int, int, float | None]] = {}
    for name in dict.fromkeys(victims):
        turns = [turn for session in sessions for turn, dead in zip(session.turns, victims, strict=False) if dead == name]
        took = [turn.latency_ms for turn in turns if turn.latency_ms is not None]
        found[name] = len(turns), len(took), statistics.median(took) if took else None
    return found
