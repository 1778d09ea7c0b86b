"""The source of a scenario's graph: it only lasts."""

from __future__ import annotations

from collections.abc import Iterator

from graph.node import Node, Output, Step, Until
from nodes.scenario.base import Begin

WAKE_NS = 1_000_000_000  # it is woken early when it is asked to stop


class Curtain(Node):
    """Says once that the graph is ready, and lasts until the graph is drained: the user listens, and so cannot be a source."""

    begin = Output(Begin)
    _stopped = False

    def run(self) -> Iterator[Step]:
        yield self.begin(Begin())
        while not self._stopped:
            yield Until(self.runtime.now_ns() + WAKE_NS)

    def stop(self) -> None:
        self._stopped = True
