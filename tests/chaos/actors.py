"""Nodes that can be told to break (SIGUSR1), a source that resumes, and a sink whose effects are on disk."""

from __future__ import annotations

import os
import signal
from collections.abc import Iterator
from pathlib import Path

from graph.message import Message, now_ns
from graph.node import Input, Node, NodeConfig, Outgoing, Output, Step, Until
from tests.system.actors import Number


class Fragile(Node):
    """Ends with exit code 1 at a SIGUSR1."""

    def setup(self) -> None:
        signal.signal(signal.SIGUSR1, lambda number, frame: os._exit(1))


class TickConfig(NodeConfig):
    every_ms: float = 2


class Tick(Fragile):
    """Numbers at a steady pace, until it is told to stop."""

    Config = TickConfig
    config: TickConfig
    out = Output(Number)
    stopped = False

    def first(self) -> int:
        return 0

    def run(self) -> Iterator[Step]:
        began_ns, n = now_ns(), self.first()
        k = 0
        while not self.stopped:
            yield Until(began_ns + int(k * self.config.every_ms * 1e6))
            yield self.out(Number(n))
            n, k = n + 1, k + 1

    def stop(self) -> None:
        self.stopped = True


class Replay(Tick):
    """Goes on behind what is done when it is started again."""

    replayable = True

    def first(self) -> int:
        return self.runtime.resume()


class PassConfig(NodeConfig):
    version: int = 0


class Pass(Fragile):
    """Passes each number on."""

    Config = PassConfig
    config: PassConfig
    x = Input(Number)
    out = Output(Number)

    def on_x(self, message: Message[Number]) -> Outgoing:
        return self.out(message.body)


class Hear(Fragile):
    """Only listens."""

    x = Input(Number)

    def on_x(self, message: Message[Number]) -> None:
        pass


class LedgerConfig(NodeConfig):
    file: Path


class Ledger(Fragile):
    """Each number is a line of a file, written before its message is finished with."""

    Config = LedgerConfig
    config: LedgerConfig
    x = Input(Number)

    def setup(self) -> None:
        super().setup()
        self._file = os.open(self.config.file, os.O_WRONLY | os.O_CREAT | os.O_APPEND)

    def on_x(self, message: Message[Number]) -> None:
        os.write(self._file, b"%d\n" % message.body.n)
