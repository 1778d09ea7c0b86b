"""From speech probabilities to speech events: a pure machine, a window at a time, in media time only."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import TypeAlias

from nodes.vad.base import SpeechEnded, SpeechPaused, SpeechStarted

SpeechEvent: TypeAlias = SpeechStarted | SpeechPaused | SpeechEnded


@dataclass(frozen=True, slots=True)
class Limits:
    """What counts as speech and as silence. All but the probabilities are in samples."""

    threshold: float  # a window at least this probable begins speech
    neg_threshold: float  # a window at least this probable keeps speech going
    min_speech: int
    min_silence: int
    pause_every: int
    end_silence: int
    pre_roll: int
    sample_rate: int = 16_000  # Hz


class Segmenter:
    """One session's speech, from silence over speech and pauses to its end.

    Between `threshold` and `neg_threshold` a window is whatever the one before it was: hysteresis, as in Silero's iterator.
    """

    def __init__(self, limits: Limits) -> None:
        self._limits = limits
        self._rising: int | None = None  # first sample of what may become speech
        self._speech_end: int | None = None  # first sample after the last speech; None: there is no open speech
        self._next_report = 0  # silence at which the pause is told next
        self._paused = False
        self._now = 0  # first sample not looked at yet
        self.heard_speech = False

    def window(self, probability: float, start: int, length: int) -> Iterator[SpeechEvent]:
        """Look at the window of `length` samples that begins at sample `start`."""
        limits = self._limits
        self._now = start + length
        speaking = self._speech_end is not None and not self._paused
        if speaking and probability >= limits.neg_threshold:
            self._speech_end = self._now
            return
        if not speaking:
            yield from self._listen(probability, start)
        if self._speech_end is not None and self._rising is None:
            yield from self._silence(self._now - self._speech_end)

    def _listen(self, probability: float, start: int) -> Iterator[SpeechEvent]:
        """Is this the beginning of speech, or its going on after a pause?"""
        limits = self._limits
        if probability < limits.neg_threshold:
            self._rising = None
            return
        if self._rising is None:
            if probability < limits.threshold:
                return
            self._rising = start
        if self._now - self._rising >= limits.min_speech:
            yield SpeechStarted(self._rising, max(0, self._rising - limits.pre_roll), limits.sample_rate)
            self._rising, self._paused, self._speech_end = None, False, self._now
            self._next_report = limits.min_silence
            self.heard_speech = True

    def _silence(self, silence: int) -> Iterator[SpeechEvent]:
        limits = self._limits
        assert self._speech_end is not None
        if silence >= limits.end_silence:
            yield self._ended(silence)
        elif silence >= self._next_report:
            self._paused = True
            self._next_report = silence + limits.pause_every
            yield SpeechPaused(self._speech_end, self._ms(silence), limits.sample_rate)

    def finish(self) -> Iterator[SpeechEvent]:
        """The audio has ended: so has the speech that is still open."""
        if self._speech_end is not None:
            yield self._ended(self._now - self._speech_end)

    def _ended(self, silence: int) -> SpeechEnded:
        assert self._speech_end is not None
        ended = SpeechEnded(self._speech_end, self._ms(silence), self._limits.sample_rate)
        self._speech_end, self._rising, self._paused = None, None, False
        return ended

    def _ms(self, samples: int) -> int:
        return samples * 1000 // self._limits.sample_rate
