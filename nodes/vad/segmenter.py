"""From speech probabilities to speech events: a pure machine, a window at a time, in media time only.

quiet --min_speech of voice--> speaking --min_silence--> paused --end_silence--> quiet
                                  ^-------- min_speech of voice ----'
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from enum import Enum, auto
from typing import TypeAlias

from nodes.speech_audio import SAMPLE_RATE_HZ
from nodes.vad.base import SpeechEnded, SpeechPaused, SpeechStarted

SpeechEvent: TypeAlias = SpeechStarted | SpeechPaused | SpeechEnded


@dataclass(frozen=True, slots=True)
class Limits:
    """What counts as speech and as silence. All but the probabilities are in samples."""

    threshold: float  # voice begins with a window at least this probable
    neg_threshold: float  # and ends with one less probable than this
    min_speech: int
    min_silence: int
    pause_every: int
    end_silence: int
    pre_roll: int


class _Phase(Enum):
    QUIET = auto()
    SPEAKING = auto()
    PAUSED = auto()


class Segmenter:
    """One stretch of audio without gaps, from its first sample `begin` on."""

    def __init__(self, limits: Limits, begin: int = 0) -> None:
        self._limits = limits
        self._phase = _Phase.QUIET
        self._now = begin  # first sample not looked at yet
        self._voice_from: int | None = None  # first sample of the voice that is heard now
        self._speech_end = begin  # first sample after the last speech
        self._next_pause = 0  # silence at which the pause is told next

    def window(self, probability: float, length: int) -> Iterator[SpeechEvent]:
        """Look at the next `length` samples."""
        limits = self._limits
        start, self._now = self._now, self._now + length
        # Hysteresis as in Silero's own iterator: between the two thresholds a window is what the one before it was.
        voiced = probability >= (limits.threshold if self._voice_from is None else limits.neg_threshold)
        if not voiced:
            self._voice_from = None
            if self._phase is not _Phase.QUIET:
                yield from self._silent()
            return
        if self._voice_from is None:
            self._voice_from = start
        if self._phase is _Phase.SPEAKING:
            self._speech_end = self._now
        elif self._now - self._voice_from >= limits.min_speech:
            yield self._started(self._voice_from)

    @property
    def in_speech(self) -> bool:
        """True from the start of speech to its end."""
        return self._phase is not _Phase.QUIET

    @property
    def speaking(self) -> bool:
        """True while speech is not paused."""
        return self._phase is _Phase.SPEAKING

    @property
    def suspects(self) -> bool:
        """True while there is voice that is too short yet to be speech."""
        return self._voice_from is not None and not self.speaking

    def finish(self) -> Iterator[SpeechEvent]:
        """The audio has ended: so has the speech that is still open."""
        if self._phase is not _Phase.QUIET:
            yield self._ended()

    def _started(self, at: int) -> SpeechStarted:
        keep_from = max(self._speech_end, at - self._limits.pre_roll)
        self._phase, self._speech_end = _Phase.SPEAKING, self._now
        self._next_pause = self._limits.min_silence
        return SpeechStarted(at, keep_from, SAMPLE_RATE_HZ)

    def _silent(self) -> Iterator[SpeechEvent]:
        silence = self._now - self._speech_end
        if silence >= self._limits.end_silence:
            yield self._ended()
        elif silence >= self._next_pause:
            self._phase = _Phase.PAUSED
            self._next_pause = silence + self._limits.pause_every
            yield SpeechPaused(self._speech_end, self._silence_ms(), SAMPLE_RATE_HZ)

    def _ended(self) -> SpeechEnded:
        self._phase = _Phase.QUIET
        return SpeechEnded(self._speech_end, self._silence_ms(), SAMPLE_RATE_HZ)

    def _silence_ms(self) -> int:
        return (self._now - self._speech_end) * 1000 // SAMPLE_RATE_HZ
