"""From the samples of an utterance to its transcript: a look through a fitted window, doubt, a look through the full one."""

from __future__ import annotations

import math
from collections.abc import Generator
from dataclasses import dataclass, replace

import numpy as np

from nodes.stt.doubt import Written, doubt, is_speech
from nodes.stt.fitted_whisper import FULL_WINDOW_S, SAMPLE_RATE_HZ, FittedWhisper, Options, max_tokens_for, window_for
from nodes.stt.sound import SILENCE, Sound, sound_in


@dataclass(frozen=True, slots=True)
class Heard:
    """A transcript, empty where nothing intelligible was said, and how it came about."""

    text: str = ""
    language: str = ""
    confidence: float = 0.0  # geometric mean of the tokens' probabilities
    sound: Sound = SILENCE  # times within the utterance
    window_s: float = 0.0  # that the text was written from; 0: there was no sound
    doubt: str = ""  # why there was a second look


class Transcriber:
    """Whisper with its options; `shortest_s` is the shortest window it uses."""

    def __init__(self, whisper: FittedWhisper, options: Options, shortest_s: float) -> None:
        self._whisper = whisper
        self._options = options
        self._shortest_s = shortest_s

    def warm_up(self) -> None:
        """The first run allocates and is slower than all others."""
        noise = np.random.default_rng(0).normal(0, 0.01, SAMPLE_RATE_HZ).astype(np.float32)
        self._whisper.write(noise, self._shortest_s, self._options)

    def transcribe(self, pcm: bytes | memoryview, prompt: str | None = None) -> Generator[None, None, Heard]:
        """Transcribe s16 little-endian samples, mono at 16 kHz; yields before a second look, a good moment to give up.

        :param prompt: in the place of the one in the options
        """
        options = self._options if prompt is None else replace(self._options, prompt=prompt)
        samples = np.frombuffer(pcm, "<i2").astype(np.float32) / 32768
        sound = sound_in(samples, SAMPLE_RATE_HZ)
        if not sound.seconds:
            return Heard()
        audio_s = len(samples) / SAMPLE_RATE_HZ
        limits = options.limits
        window_s = window_for(audio_s, self._shortest_s)
        written, language = self._whisper.write(samples, window_s, options)
        reason = ""
        if window_s < FULL_WINDOW_S:
            reason = doubt(written, sound.seconds, max_tokens_for(audio_s), limits)
            if reason:
                yield
                window_s = FULL_WINDOW_S
                written, language = self._whisper.write(samples, window_s, options)
        said = [w for w in written if is_speech(w, limits)]
        return Heard(" ".join(w.text for w in said), language, _confidence(said), sound, window_s, reason)


def _confidence(said: list[Written]) -> float:
    tokens = sum(w.tokens for w in said)
    return math.exp(sum(w.avg_logprob * w.tokens for w in said) / tokens) if tokens else 0.0
