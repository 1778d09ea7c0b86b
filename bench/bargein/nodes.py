"""Our own arm: who speaks into the replies, and who listens to them. All between them but the models is the engine as it is."""

from __future__ import annotations

import numpy as np

from bench.bargein.script import DROPPED, over
from bench.recover.ends import folder
from bench.square_wave import Ear
from bench.voice.nodes import Asker
from bench.voice.script import Notes, Over
from graph.message import Message, now_ns
from graph.node import Input, Node, NodeConfig
from nodes.kinds import AudioFrame
from nodes.turn.base import Interrupt


class InterrupterConfig(NodeConfig):
    alarms: list[bool]  # which of the sounds are false alarms


class Interrupter(Asker):
    """Speaks into the replies."""

    Config = InterrupterConfig
    config: InterrupterConfig

    def over(self) -> Over:
        return over(self.config.alarms)


class Listener(Node):
    """Writes down what leaves the sink, and when a reply is given up."""

    heard = Input(AudioFrame)
    interrupt = Input(Interrupt)

    def setup(self) -> None:
        self._ear, self._notes = Ear(folder()), Notes()

    def on_heard(self, message: Message[AudioFrame]) -> None:
        self._ear.hear(np.frombuffer(message.payload, "<i2"), message.body.sample_rate, message.origin_ns)

    def on_interrupt(self, message: Message[Interrupt]) -> None:
        self._notes.take(DROPPED, now_ns(), message.turn, message.revision, message.body.reason)
