"""The speech-to-text family."""

from __future__ import annotations

from graph.node import Input, Node, Output
from nodes.kinds import TranscriptFinal, TranscriptPartial
from nodes.turn.base import Interrupt, Utterance

__all__ = ["SttNode", "TranscriptFinal", "TranscriptPartial"]


class SttNode(Node):
    """Turns utterances into text.

    What an utterance on trial says goes to `trial` alone. If it comes again for good, with the same turn and revision, its
    transcript is the same (`nodes.stt.trials`).
    """

    extra = "stt"
    speech = Input(Utterance)
    interrupt = Input(Interrupt, required=False, interrupts=True)
    text = Output(TranscriptFinal)
    trial = Output(TranscriptFinal, doc="for the turn node: what was said while a reply is heard, interruption or not")
