"""When the next clause of a reply has to be begun: early enough that nobody waits for it, and no earlier, for what is spoken
ahead is in vain if the reply is interrupted. Pure: times are the caller's, in ns."""

from __future__ import annotations

from collections import deque
from itertools import combinations
from statistics import median

from nodes.tts.clauses import LONGEST

NEWEST = 20  # clauses that the cost is fitted to
LEAST = 3  # with fewer, nothing is known
DEARER = 2  # times: other nodes may just then want the processor too
MARGIN_NS = 1_000_000_000  # and may hold it for so long


class Pacing:
    """What a clause costs is fitted to those before: `base + slope * letters`.

    The slope is the median of the slopes between any two clauses (Theil–Sen), so that one that took long for another reason
    does not turn the line; the base is that of the dearest of them. Beyond the longest clause the cost grows in proportion.
    """

    def __init__(self) -> None:
        self._clauses: deque[tuple[int, int]] = deque(maxlen=NEWEST)  # letters, cost in ns
        self._slope = self._base = 0.0

    def learn(self, letters: int, cost_ns: int) -> None:
        """A clause of at least one letter has cost so much, from when it was begun to its last frame."""
        self._clauses.append((letters, cost_ns))
        slopes = [(b[1] - a[1]) / (b[0] - a[0]) for a, b in combinations(self._clauses, 2) if a[0] != b[0]]
        self._slope = max(0.0, median(slopes)) if slopes else 0.0
        self._base = max(cost - self._slope * letters for letters, cost in self._clauses)

    def cost_ns(self, letters: int) -> int | None:
        """What so many letters will hardly exceed; None: too few clauses were spoken to tell."""
        if len(self._clauses) < LEAST:
            return None
        longest = max(known for known, _ in self._clauses)
        return max(0, round((self._base + self._slope * min(letters, longest)) * max(1.0, letters / longest)))

    def begins_ns(self, letters: int, runs_out_ns: int, speaking: int = 1) -> int:
        """When a clause is begun whose reply runs out of audio at `runs_out_ns`; 0: at once.

        When it is spoken there is still enough audio to speak the longest clause that may come behind it. So a voice that is
        slower than speech never waits, and where `speaking` replies are under way, the clauses of the others may go first.
        """
        cost, longest = self.cost_ns(letters), self.cost_ns(LONGEST)
        if cost is None or longest is None:
            return 0
        return max(0, runs_out_ns - DEARER * (cost + speaking * longest) - MARGIN_NS)
