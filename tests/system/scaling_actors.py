"""Nodes that show who did what, so that a test sees whether a message was lost, doubled, overtaken or met the wrong state."""

from __future__ import annotations

import os
import time
from pathlib import Path
from typing import Any, ClassVar

from graph.errors import NodeError
from graph.message import Kind, Message
from graph.node import Input, Node, NodeConfig, Outgoing, Output
from tests.system.actors import Number


class Tallied(Kind, frozen=True, omit_defaults=True):
    kind: ClassVar[str] = "test.tallied"
    n: int
    count: int  # the how-manieth of its session
    by: str  # instance
    label: str = ""


class TallyConfig(NodeConfig):
    version: int = 0  # another one takes another process
    label: str = "a"  # and another of these does not
    dies_at: int = 0  # the how-manieth message of a process is its last; 0: none
    broken: Path | None = None  # while this file is there the node cannot be set up
    busy: Path | None = None  # while this one is there it has not been set up
    talks: Path | None = None  # and while this one is there it lets no session go


class Tally(Node):
    """Counts the messages of each session, and hands the counts over."""

    Config = TallyConfig
    config: TallyConfig
    changeable = frozenset({"label"})
    x = Input(Number)
    out = Output(Tallied)
    _handled = 0

    def setup(self) -> None:
        self._counts: dict[str, int] = {}
        if self.config.broken is not None and self.config.broken.exists():
            raise NodeError("there is no model: pull it first")
        while self.config.busy is not None and self.config.busy.exists():
            self.runtime.status("loading")
            time.sleep(0.02)

    def on_x(self, message: Message[Number]) -> Outgoing:
        count = self._counts[message.session] = self._counts.get(message.session, 0) + 1
        self._handled += 1
        if self._handled == self.config.dies_at:
            os._exit(1)
        return self.out(Tallied(message.body.n, count, self.runtime.instance, self.config.label))

    def in_turn(self) -> set[str]:
        return set(self._counts) if self.config.talks is not None and self.config.talks.exists() else set()

    def snapshot(self) -> dict[str, Any]:
        return dict(self._counts)

    def restore(self, state: dict[str, Any]) -> None:
        self._counts.update(state)


class BookConfig(NodeConfig):
    file: Path


class Book(Node):
    """Writes down what it hears, a line each."""

    Config = BookConfig
    config: BookConfig
    x = Input(Tallied)

    def setup(self) -> None:
        self._file = self.config.file.open("a", buffering=1)

    def on_x(self, message: Message[Tallied]) -> None:
        body = message.body
        self._file.write(f"{message.session} {body.n} {body.count} {body.by} {body.label}\n")

    def close(self) -> None:
        self._file.close()


class TwoBook(Book):
    """The same, with a second book for another input."""

    y = Input(Tallied, required=False)

    def setup(self) -> None:
        super().setup()
        self._other = self.config.file.with_name(self.config.file.name + ".y").open("a", buffering=1)

    def on_y(self, message: Message[Tallied]) -> None:
        body = message.body
        self._other.write(f"{message.session} {body.n} {body.count} {body.by} {body.label}\n")

    def close(self) -> None:
        super().close()
        self._other.close()


class Again(Node):
    """Passes on what it hears."""

    x = Input(Tallied)
    out = Output(Tallied)

    def on_x(self, message: Message[Tallied]) -> Outgoing:
        return self.out(message.body)
