"""The conversation, told to whoever sits at the terminal."""

from __future__ import annotations

from typing import TYPE_CHECKING

from graph.message import Mark, Message
from graph.node import NodeConfig, Runtime
from nodes.marks import FIRST_AUDIO, REPLY, TRANSCRIPT, TURN_FAILED
from nodes.metrics.base import MetricsNode
from nodes.metrics.turns import Turns

if TYPE_CHECKING:
    from nodes.metrics.terminal import Terminal


class ConsoleMetrics(MetricsNode):
    """Prints the conversation as it happens, and at the end a table with the times of each turn."""

    terminal = True

    def __init__(self, config: NodeConfig, runtime: Runtime) -> None:
        super().__init__(config, runtime)
        self._turns = Turns()

    def setup(self) -> None:
        try:
            from nodes.metrics.terminal import Terminal
        except ImportError as error:
            raise self.missing(error.name or "rich") from error
        self._out: Terminal = Terminal()

    def on_marks(self, message: Message[Mark]) -> None:
        turn = self._turns.add(message)
        if turn is None:
            return
        if message.body.name == TRANSCRIPT:
            self._out.user(turn)
        if message.body.name == TURN_FAILED:
            self._out.failed(turn)
        if message.body.name in (REPLY, FIRST_AUDIO) and REPLY in turn.marks and FIRST_AUDIO in turn.marks:
            self._out.assistant(turn)  # when the second of both is known: a reply is often written before it is heard

    def drain(self) -> None:
        turns = self._turns.all()
        for turn in turns:
            if REPLY in turn.marks and FIRST_AUDIO not in turn.marks:
                self._out.assistant(turn)
        self._out.summary(turns)
