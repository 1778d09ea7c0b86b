"""The sink family: where the assistant is heard."""

from __future__ import annotations

from typing import ClassVar

from graph.message import Kind
from graph.node import Input, Node, Outgoing, Output
from nodes.kinds import AudioFrame
from nodes.marks import PLAYED
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

    def tell(self, played: Played, at_ns: int, session: str, turn: int, revision: int) -> Outgoing:
        """The message that a reply was heard, and its mark; `at_ns`: when its last sample was."""
        text, samples = played.text, played.samples
        self.mark(PLAYED, at_ns=at_ns, session=session, turn=turn, revision=revision, text=text, samples=samples)
        return self.played(played, session=session, turn=turn, revision=revision)
