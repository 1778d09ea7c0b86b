"""The turn family: when has the user finished, and what belongs to the turn."""

from __future__ import annotations

from typing import ClassVar, TypeAlias

from graph.message import Kind
from graph.node import Input, Node, Output
from nodes.kinds import AudioFrame, Played, ReplyBegins, Text, TranscriptFinal
from nodes.vad.base import SpeechEnded, SpeechPaused, SpeechStarted


class TurnPending(Kind, frozen=True, omit_defaults=True):
    """The judge was asked in a pause and holds that the user will go on."""

    kind: ClassVar[str] = "turn.pending"
    probability: float  # that the turn is complete, 0 to 1
    silence_ms: int  # media time


class TurnConfirmed(Kind, frozen=True, omit_defaults=True):
    """The turn is over; the header's `turn` is its number, counted from 1 per session."""

    kind: ClassVar[str] = "turn.confirmed"
    probability: float  # what the judge said last in this pause; 0 if it was not asked
    silence_ms: int
    reason: str  # "judge", "ceiling" (the silence grew too long) or "end" (the speech was ended, mostly with the audio)


class TurnOnTrial(Kind, frozen=True, omit_defaults=True):
    """The user speaks while a reply is heard, and it is to be seen whether that is an interruption: the reply pauses.

    What decides it is an `Interrupt`, or `TurnDismissed`.
    """

    kind: ClassVar[str] = "turn.on_trial"


class TurnDismissed(Kind, frozen=True, omit_defaults=True):
    """What the user said while a reply is heard was no interruption and is no turn: the reply goes on where it was."""

    kind: ClassVar[str] = "turn.dismissed"


class TurnFailed(Kind, frozen=True, omit_defaults=True):
    """The turn has ended without a reply, or with a part of one; the header's revision is one that nobody works on.

    What is still said in it, an apology, may be heard.
    """

    kind: ClassVar[str] = "turn.failed"
    cause: str


TurnNews: TypeAlias = TurnPending | TurnConfirmed | TurnOnTrial | TurnDismissed | TurnFailed
TURN_NEWS = (TurnPending, TurnConfirmed, TurnOnTrial, TurnDismissed, TurnFailed)  # what the output `turn` says


class Utterance(Kind, frozen=True, omit_defaults=True):
    """What the user said in a turn; the payload is its samples, s16 little-endian mono, pre-roll included.

    It may come before the turn is confirmed: if the user goes on, an `Interrupt` with the next revision withdraws it.
    On trial it may be none at all: what it says is for the turn node only, and must not be answered. If it was an
    interruption, it comes again, for good.
    """

    kind: ClassVar[str] = "utterance"
    start: int  # index of the payload's first sample in the captured audio
    sample_rate: int = 16_000  # Hz
    on_trial: bool = False


class Interrupt(Kind, frozen=True, omit_defaults=True):
    """Everything of this session older than the header's (turn, revision) is stale: stop it, drop it."""

    kind: ClassVar[str] = "interrupt"
    reason: str = ""


class TurnNode(Node):
    """Decides from speech events and audio when a turn is over. Decisions use media time only."""

    extra = "turn"
    audio = Input(AudioFrame, doc="the same audio the VAD listens to")
    speech = Input(SpeechStarted, SpeechPaused, SpeechEnded)
    played = Input(
        ReplyBegins, Played, required=False, doc="from the sink: what was said may go ahead, and speech may interrupt a reply"
    )
    words = Input(
        TranscriptFinal, required=False, doc="from the transcriber's `trial`: what is said while a reply is heard decides"
    )
    turn = Output(*TURN_NEWS)
    utterance = Output(Utterance)
    apology = Output(Text, doc="for the voice: what is said where a turn has failed")
    interrupt = Output(Interrupt, interrupts=True)
