"""Nodes that do next to nothing, to see what a process of ours costs by itself."""

from __future__ import annotations

import time
from collections.abc import Iterator

from graph.message import Mark, Message, now_ns
from graph.node import Input, Node, Output, Step, Until


class Beacon(Node):
    """Sends a mark every 100 ms."""

    out = Output(Mark)
    _stopped = False

    def run(self) -> Iterator[Step]:
        while not self._stopped:
            yield Until(now_ns() + 100_000_000)
            yield self.out(Mark("beacon", time.time_ns()))

    def stop(self) -> None:
        self._stopped = True


class Listener(Node):
    """Hears."""

    x = Input(Mark)

    def on_x(self, message: Message[Mark]) -> None:
        return None
