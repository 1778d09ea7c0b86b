"""The VAD family: where in the audio is speech. All positions are sample indexes of the audio it listens to."""

from __future__ import annotations

from typing import ClassVar

from graph.message import Kind
from graph.node import Input, Node, Output
from nodes.kinds import AudioFrame

GAP_MS = 96  # a shorter silence may lie within a word, before a stop consonant: nobody has fallen silent


class SpeechStarted(Kind, frozen=True, omit_defaults=True):
    """Speech begins, or goes on after a pause."""

    kind: ClassVar[str] = "speech.started"
    at: int  # first sample of speech
    keep_from: int  # first sample worth keeping: `at` less the pre-roll
    sample_rate: int = 16_000  # Hz


class SpeechPaused(Kind, frozen=True, omit_defaults=True):
    """Speech has been silent for `silence_ms` of media time; told again and again while the pause lasts."""

    kind: ClassVar[str] = "speech.paused"
    at: int  # first sample after the last speech
    silence_ms: int  # from `at` to the newest sample looked at
    sample_rate: int = 16_000  # Hz


class SpeechEnded(Kind, frozen=True, omit_defaults=True):
    """The pause is so long that this stretch of speech is over, or the audio itself has ended."""

    kind: ClassVar[str] = "speech.ended"
    at: int  # first sample after the last speech
    silence_ms: int
    sample_rate: int = 16_000  # Hz


class VoiceHeard(Kind, frozen=True, omit_defaults=True):
    """There is voice, too short yet to be speech: it may become it, or be nothing (`VoiceLost`)."""

    kind: ClassVar[str] = "voice.heard"


class VoiceLost(Kind, frozen=True, omit_defaults=True):
    """What was heard was no speech."""

    kind: ClassVar[str] = "voice.lost"


class VadNode(Node):
    """Listens to audio and tells where speech starts, pauses and ends."""

    extra = "vad"
    audio = Input(AudioFrame, doc="16 kHz mono s16 frames of any length")
    speech = Output(SpeechStarted, SpeechPaused, SpeechEnded)
    voice = Output(VoiceHeard, VoiceLost, doc="what may become speech, for who has to be quick and can take it back")
