"""The neighbour as a node of our graph: it listens to the microphone, and works on something else."""

from __future__ import annotations

from bench.isolation import hog
from graph.message import Message
from graph.node import Input, Node
from nodes.kinds import AudioFrame


class Hog(Node):
    """Takes a core and its own interpreter's lock."""

    audio = Input(AudioFrame)

    def setup(self) -> None:
        self._stopped = hog.started()

    def on_audio(self, message: Message[AudioFrame]) -> None:
        """It does nothing with it."""

    def close(self) -> None:
        self._stopped.set()
