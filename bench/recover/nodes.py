"""Our own arm: what a user would write, in a graph that `graph run` starts."""

from __future__ import annotations

from collections.abc import Iterator
from typing import ClassVar

from bench.recover import ends
from graph.message import Kind, Message
from graph.node import Input, Node, Outgoing, Output, Step, Until


class Sample(Kind, frozen=True, omit_defaults=True):
    kind: ClassVar[str] = "bench.recover"
    number: int
    sent_ns: int


class Source(Node):
    out = Output(Sample)
    _stopped = False

    def run(self) -> Iterator[Step]:
        for number, at_ns in ends.times():
            yield Until(at_ns)
            if self._stopped:
                return
            yield self.out(Sample(number, ends.now_ns()), b"x" * 1024)

    def stop(self) -> None:
        self._stopped = True


class Relay(Node):
    data = Input(Sample)
    out = Output(Sample)

    def setup(self) -> None:
        ends.relay_is_here()

    def on_data(self, message: Message[Sample]) -> Outgoing:
        return self.out(message.body, message.payload)


class Sink(Node):
    data = Input(Sample)

    def setup(self) -> None:
        self._notes = ends.Notes()

    def on_data(self, message: Message[Sample]) -> None:
        self._notes.take(message.body.number, message.body.sent_ns)
