"""Small nodes for graphs under test; no models."""

from __future__ import annotations

import logging
import os
import sys
import time
from collections.abc import AsyncIterator, Iterator
from pathlib import Path
from typing import ClassVar

from graph.errors import NodeError
from graph.message import Kind, Message, now_ns
from graph.node import Input, Node, NodeConfig, Outgoing, Output, Step, Until
from nodes.turn.base import Interrupt


class Number(Kind, frozen=True, omit_defaults=True):
    kind: ClassVar[str] = "test.number"
    n: int = 0


class CountConfig(NodeConfig):
    count: int = 100
    every_ms: float = 0  # 0: as fast as the links take it
    sessions: int = 1


class Count(Node):
    """Sends 0, 1, 2, …"""

    Config = CountConfig
    config: CountConfig
    out = Output(Number)
    _stopped = False

    def run(self) -> Iterator[Step]:
        began_ns = now_ns()
        for n in range(self.config.count):
            if self._stopped:
                return
            if self.config.every_ms:
                yield Until(began_ns + int(n * self.config.every_ms * 1e6))
            yield self.out(Number(n), session=f"s{n % self.config.sessions}")

    def stop(self) -> None:
        self._stopped = True


class Double(Node):
    """Doubles what comes."""

    x = Input(Number)
    out = Output(Number)

    def on_x(self, message: Message[Number]) -> Outgoing:
        return self.out(Number(message.body.n * 2))


class AsyncDouble(Double):
    """Doubles what comes, twice, in an async generator."""

    async def on_x(self, message: Message[Number]) -> AsyncIterator[Step]:  # type: ignore[override]
        for _ in range(2):
            yield self.out(Number(message.body.n * 2))


class SlowConfig(NodeConfig):
    ms: float = 4


class Slow(Double):
    """Takes its time over each."""

    Config = SlowConfig
    config: SlowConfig

    def on_x(self, message: Message[Number]) -> Outgoing:
        time.sleep(self.config.ms / 1000)
        return super().on_x(message)


class CollectConfig(NodeConfig):
    file: Path


class Collect(Node):
    """Writes what it heard into a file, one number a line, when all is over; touches `<file>.began` at the first."""

    Config = CollectConfig
    config: CollectConfig
    x = Input(Number)

    def setup(self) -> None:
        self._heard: list[str] = []

    def on_x(self, message: Message[Number]) -> None:
        if not self._heard:
            self.config.file.with_suffix(".began").touch()
        self._heard.append(f"{message.session} {message.body.n}")

    def drain(self) -> None:
        self.mark("collected", turn=1, count=len(self._heard), pid=os.getpid())

    def close(self) -> None:
        self.config.file.write_text("".join(f"{line}\n" for line in self._heard))


class AnnounceConfig(CountConfig):
    file: Path


class Announce(Count):
    """Touches `<file>.sent` when it has sent all."""

    Config = AnnounceConfig
    config: AnnounceConfig

    def run(self) -> Iterator[Step]:
        yield from super().run()
        self.config.file.with_suffix(".sent").touch()


class Patient(Collect):
    """Handles its first message until everything has been sent."""

    def on_x(self, message: Message[Number]) -> None:
        while not self.config.file.with_suffix(".sent").exists():
            time.sleep(0.001)
        super().on_x(message)


class SlowCollect(Collect):
    """Takes its time over each."""

    def on_x(self, message: Message[Number]) -> None:
        time.sleep(0.02)
        super().on_x(message)


class CountingCollect(Collect):
    """Tells in `<file>.count` how many it has heard, now and then."""

    def on_x(self, message: Message[Number]) -> None:
        super().on_x(message)
        if len(self._heard) % 100 == 0:
            self.config.file.with_suffix(".count").write_text(str(len(self._heard)))


class SlowCountingCollect(CountingCollect):
    """Is slower than what comes."""

    def on_x(self, message: Message[Number]) -> None:
        time.sleep(0.0003)
        super().on_x(message)


class Breaks(Count):
    """Cannot go on once it has counted."""

    def run(self) -> Iterator[Step]:
        yield from super().run()
        raise NodeError("unplugged")


class FailsInSetup(Double):
    """Cannot start."""

    def setup(self) -> None:
        raise NodeError("no microphone here: plug one in")


class BugInSetup(Double):
    """Has a bug of its author's."""

    def setup(self) -> None:
        raise ZeroDivisionError("division by zero")


class StartsOnce(Double):
    """Can be started only once."""

    Config = CollectConfig
    config: CollectConfig

    def setup(self) -> None:
        if self.config.file.exists():
            raise NodeError("the device is taken")
        self.config.file.touch()


class HangsOnce(Double):
    """Never comes to an end with its hundredth message, in its first life."""

    def on_x(self, message: Message[Number]) -> Outgoing:
        while message.body.n == 100:
            time.sleep(1)
        return super().on_x(message)


class NeverReady(Double):
    """Loads for ever, deaf to everything."""

    def setup(self) -> None:
        self.runtime.status("loading a model that never comes")
        while True:
            time.sleep(1)


class TalkConfig(NodeConfig):
    interrupt_after: int = 5


class Talk(Node):
    """Talks on and on about each number, until it is interrupted; says on `out` how far it came."""

    x = Input(Number)
    interrupt = Input(Interrupt, interrupts=True)
    words = Output(Number)

    def on_x(self, message: Message[Number]) -> Iterator[Step]:
        for n in range(1_000_000):
            yield self.words(Number(n))


class TalkByItself(Talk):
    """The same, not while it handles the number but when it is due."""

    def on_x(self, message: Message[Number]) -> None:
        self._turn = message.session, message.turn, message.revision
        self.due_ns = now_ns()

    def on_due(self) -> Iterator[Step]:
        session, turn, revision = self._turn
        for n in range(1_000_000):
            yield self.words(Number(n), session=session, turn=turn, revision=revision)
            if self.runtime.stale(session, turn, revision):
                return


class Heckle(Node):
    """Interrupts the talk of a turn once it has heard enough of it, then asks for the next."""

    Config = TalkConfig
    config: TalkConfig
    words = Input(Number)
    interrupt = Output(Interrupt)

    def setup(self) -> None:
        self._stopped = 0

    def on_words(self, message: Message[Number]) -> Iterator[Step]:
        if message.turn > self._stopped and message.body.n >= self.config.interrupt_after:
            self._stopped = message.turn
            yield self.interrupt(Interrupt(), turn=message.turn + 1)


class Topics(Node):
    """Opens two turns."""

    out = Output(Number)

    def run(self) -> Iterator[Step]:
        for turn in (1, 2):
            yield self.out(Number(turn), turn=turn)


class Echo(Node):
    """Passes each number on; what comes back to it is only heard."""

    x = Input(Number)
    back = Input(Number)
    out = Output(Number)

    def on_x(self, message: Message[Number]) -> Outgoing:
        return self.out(message.body)

    def on_back(self, message: Message[Number]) -> None:
        return None


class Mixed(Slow):
    """Takes jobs beside a stream that never lets it rest."""

    y = Input(Number)

    def on_y(self, message: Message[Number]) -> Outgoing:
        return self.out(Number(-message.body.n))


class Alarm(Node):
    """Interrupts turn after turn, at once."""

    out = Output(Interrupt)

    def run(self) -> Iterator[Step]:
        for turn in range(1, 51):
            yield self.out(Interrupt(), turn=turn)


class Startled(Collect):
    """Writes down which turns were interrupted, slowly."""

    interrupt = Input(Interrupt, interrupts=True)

    def on_interrupt(self, message: Message[Interrupt]) -> None:
        time.sleep(0.02)
        self._heard.append(f"{message.session} {message.turn}")


class WordyConfig(NodeConfig):
    junk: int = 0  # lines a message


class Wordy(Node):
    """Says something in every way there is, at its first message; then as much junk as it is told to."""

    Config = WordyConfig
    config: WordyConfig
    x = Input(Number)
    _said = False

    def on_x(self, message: Message[Number]) -> None:
        if not self._said:
            self._said = True
            self.log.info("by the node", n=1)
            self.log.debug("not at this level")
            print("printed", flush=True)
            os.write(2, b"by a native library\n")
            logging.getLogger("library").warning("by a Python library")
        if self.config.junk:
            sys.stderr.write("".join(f"junk {message.body.n} {k}\n" for k in range(self.config.junk)))


class TalkativeConfig(NodeConfig):
    padding: int = 0  # characters


class Talkative(Node):
    """Logs each number."""

    Config = TalkativeConfig
    config: TalkativeConfig
    x = Input(Number)

    def on_x(self, message: Message[Number]) -> None:
        self.log.info("number", n=message.body.n, padding="." * self.config.padding)


class Hungry(Double):
    """Takes a megabyte with each message."""

    def setup(self) -> None:
        self._kept: list[bytes] = []

    def on_x(self, message: Message[Number]) -> Outgoing:
        self._kept.append(b"x" * 1_000_000)
        return super().on_x(message)


class Later(Node):
    """Says each number a tenth of a second after it came, and is not deaf meanwhile."""

    x = Input(Number)
    out = Output(Number)

    def setup(self) -> None:
        self._due: list[tuple[int, int]] = []

    def on_x(self, message: Message[Number]) -> Outgoing:
        self._due.append((now_ns() + 100_000_000, message.body.n))
        self.due_ns = self.due_ns or self._due[0][0]
        return self.out(Number(-1))

    def on_due(self) -> Iterator[Step]:
        while self._due and self._due[0][0] <= now_ns():
            yield self.out(Number(self._due.pop(0)[1]))
        self.due_ns = self._due[0][0] if self._due else 0
