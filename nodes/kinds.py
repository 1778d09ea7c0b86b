"""The kinds that all families share."""

from __future__ import annotations

from typing import ClassVar

from graph.message import Kind


class AudioFrame(Kind, frozen=True, omit_defaults=True):
    """A stretch of mono sound; the payload is its samples as s16 little-endian.

    `start` counts samples of this source and session from 0, so times within a conversation are sample-exact. The
    header's `origin_ns` is when the frame's last sample was spoken.
    """

    kind: ClassVar[str] = "audio.frame"
    sample_rate: int  # Hz
    start: int = 0  # index of the first sample


class Text(Kind, frozen=True, omit_defaults=True):
    """A piece of text that stands for itself: typed input, a prompt, an announcement."""

    kind: ClassVar[str] = "text"
    text: str


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


class ReplyBegins(Kind, frozen=True, omit_defaults=True):
    """The first sound of a turn's reply has left: from now on the turn is over for good."""

    kind: ClassVar[str] = "reply.begins"


class Played(Kind, frozen=True, omit_defaults=True):
    """A turn's reply has been heard, or as much of it as was heard before it was interrupted."""

    kind: ClassVar[str] = "played"
    text: str = ""
    samples: int = 0
    sample_rate: int = 0  # Hz
    interrupted: bool = False
    cause: str = ""  # why there was no reply, or not all of it, other than that it was interrupted
    gaps: int = 0  # how often it ran out of audio before it was complete
    gap_ms: int = 0  # that nothing was heard for this, all together
