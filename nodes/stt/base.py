"""The speech-to-text family."""

from __future__ import annotations

from typing import ClassVar

from graph.message import Kind
from graph.node import Input, Node, Output
from nodes.turn.base import Interrupt, Utterance


class TranscriptPartial(Kind, frozen=True, omit_defaults=True):
    """What was understood so far of an utterance that still goes on; a later one replaces it."""

    kind: ClassVar[str] = "transcript.partial"
    text: str
    language: str = ""


class TranscriptFinal(Kind, frozen=True, omit_defaults=True):
    """What the user said in a turn. Empty text: nothing intelligible was said."""

    kind: ClassVar[str] = "transcript.final"
    text: str
    language: str = ""  # ISO 639-1
    confidence: float = 0.0  # mean token probability, 0 to 1
    start_ms: int = 0  # first and last word within the captured audio of the session
    end_ms: int = 0


class SttNode(Node):
    """Turns utterances into text."""

    extra = "stt"
    speech = Input(Utterance)
    interrupt = Input(Interrupt, required=False, interrupts=True)
    text = Output(TranscriptFinal)
