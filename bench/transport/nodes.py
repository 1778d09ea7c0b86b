"""The nodes of our own arm: what a user would write, in a graph that `graph run` starts."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import ClassVar

from bench.transport import ends
from graph.message import Kind, Message, now_ns
from graph.node import Input, Node, NodeConfig, Outgoing, Output, Step, Until


class Sample(Kind, frozen=True, omit_defaults=True):
    """One message of the bench; what it weighs is in the payload."""

    kind: ClassVar[str] = "bench.sample"
    phase: int
    number: int
    sent_ns: int  # monotonic, right before it was yielded


class EndConfig(NodeConfig):
    run: Path  # the folder of the run
    number: int = 0


class Source(Node):
    """Sends what the bench asks for, at its times."""

    Config = EndConfig
    config: EndConfig
    out = Output(Sample)
    _stopped = False

    def run(self) -> Iterator[Step]:
        source = ends.Source(self.config.run)
        payload = source.task.payload
        for at_ns, phase, number in source.steps():
            if self._stopped:
                return
            if at_ns:
                yield Until(at_ns)
            if phase != ends.WAIT:
                yield self.out(Sample(phase, number, now_ns()), payload)

    def stop(self) -> None:
        self._stopped = True


class Relay(Node):
    """Passes on what it hears."""

    data = Input(Sample)
    out = Output(Sample)

    def on_data(self, message: Message[Sample]) -> Outgoing:
        return self.out(message.body, message.payload)


class Sink(Node):
    """Takes the time of what arrives."""

    Config = EndConfig
    config: EndConfig
    data = Input(Sample)

    def setup(self) -> None:
        self._sink = ends.Sink(self.config.run, self.config.number)

    def on_data(self, message: Message[Sample]) -> None:
        body = message.body
        self._sink.take(body.phase, body.number, body.sent_ns, message.payload)
