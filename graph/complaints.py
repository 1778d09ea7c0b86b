"""Tells the operator what was rejected: in one line an edge, at most once a second, however much comes."""

from __future__ import annotations

from collections.abc import Callable

from graph.links.counts import REJECTED
from graph.wiring import Wiring

EVERY_NS = 1_000_000_000


class Complaints:
    """Looks at what the links of a node have rejected since it last told."""

    def __init__(self, wiring: Wiring, tell: Callable[[str], None]) -> None:
        self._wiring = wiring
        self._tell = tell
        self._told_ns = -EVERY_NS
        self._in_trouble = False
        self._told: dict[str, int] = {}  # by edge, how many

    def look(self, now_ns: int) -> None:
        """Tell what is new, if the last time is long enough ago."""
        if now_ns - self._told_ns < EVERY_NS:
            return
        self._told_ns = now_ns
        for edge, route in self._wiring.routes.items():
            self._look(edge, route.cells[REJECTED], route.reason)
        self._look("", self._wiring.strangers, "no edge of this node, or not a message")
        trouble = self._wiring.trouble
        if trouble and not self._in_trouble:
            self._in_trouble = True
            self._tell(trouble)

    def _look(self, edge: str, rejected: int, reason: str) -> None:
        new = rejected - self._told.get(edge, 0)
        if new:
            self._told[edge] = rejected
            where = f"{edge}: " if edge else ""
            self._tell(f"{where}{new} frame{'s' if new > 1 else ''} rejected (the last: {reason})")
