"""The sink family: where the assistant is heard."""

from __future__ import annotations

from typing import ClassVar

from graph.message import Kind
from graph.node import Input, Node, Output
from nodes.kinds import AudioFrame
from nodes.tts.base import Spoken
from nodes.turn.base import Interrupt


class Played(Kind, frozen=True, omit_defaults=True):
    """A turn's reply has been heard, or as much of it as was heard before it was interrupted."""

    kind: ClassVar[str] = "played"
    text: str = ""
    samples: int = 0
    sample_rate: int = 0  # Hz
    interrupted: bool = False


class SinkNode(Node):
    """Plays or writes the reply."""

    extra = "audio"
    audio = Input(AudioFrame, Spoken)
    interrupt = Input(Interrupt, required=False, interrupts=True)
    played = Output(Played)
