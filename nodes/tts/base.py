"""The text-to-speech family."""

from __future__ import annotations

from typing import ClassVar

from graph.message import Kind
from graph.node import Input, Node, Output
from nodes.kinds import AudioFrame, Text
from nodes.llm.base import Token
from nodes.turn.base import Interrupt


class Sentence(Kind, frozen=True, omit_defaults=True):
    """A sentence or clause to be spoken as one piece."""

    kind: ClassVar[str] = "sentence"
    text: str
    last: bool = False  # nothing more will be said in this turn


class Spoken(Kind, frozen=True, omit_defaults=True):
    """The audio frames since the previous `Spoken` of this turn say this text; `last` closes the turn's reply."""

    kind: ClassVar[str] = "spoken"
    text: str = ""
    samples: int = 0  # in those frames
    last: bool = False
    cause: str = ""  # of the last one: why nothing was spoken, or not all of the reply


class TtsNode(Node):
    """Speaks: tokens are gathered into clauses, sentences and texts are spoken as they come."""

    extra = "tts"
    text = Input(Token, Sentence, Text)
    interrupt = Input(Interrupt, required=False, interrupts=True)
    audio = Output(AudioFrame, Spoken, doc="mono s16 frames, `start` counting the samples of the turn's reply from 0")
