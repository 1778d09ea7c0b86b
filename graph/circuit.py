"""How often a node may be started again, and how long it waits: pure, one `Circuit` per node, all its instances together.

closed --more than `max` deaths in `within`--> open --`retry_after`--> half-open --lives for `within`--> closed
                                                 ^--------it dies--------'
"""

from __future__ import annotations

import random
from collections.abc import Callable
from dataclasses import dataclass, field

from graph.plan import Restart


@dataclass
class Circuit:
    """`jitter` gives a number in [0, 1): many nodes that died of one cause do not come back in step."""

    restart: Restart
    jitter: Callable[[], float] = random.random
    deaths_s: list[float] = field(default_factory=list)  # when, the newest last; those of the window

    def died(self, now_s: float) -> float | None:
        """Count a death.

        :returns: after how many seconds to start again; None: not again, the circuit is open.
        """
        self.deaths_s = [s for s in self.deaths_s if now_s - s < self.restart.within_s]
        if len(self.deaths_s) >= self.restart.max:
            return None
        self.deaths_s.append(now_s)
        return self._wait_s(len(self.deaths_s))

    def _wait_s(self, death: int) -> float:
        """At once, then twice as long each time, less up to half by chance.

        Source of the jitter: "equal jitter" in Brooker, "Exponential Backoff And Jitter", AWS Architecture Blog, 2015.
        """
        if death == 1:
            return 0.0
        shortest, longest = self.restart.backoff_s
        wait_s = min(longest, shortest * 2.0 ** min(death - 2, 32))
        return wait_s * (1 - self.jitter() / 2)

    def close(self) -> None:
        """Forget all deaths."""
        self.deaths_s = []
