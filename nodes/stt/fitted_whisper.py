"""Whisper whose encoder looks at as much audio as there is, instead of always at 30 s."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from faster_whisper import WhisperModel
from numpy.typing import NDArray

from nodes.stt.doubt import Limits, Written

SAMPLE_RATE_HZ = 16_000
FULL_WINDOW_S = 30.0  # what Whisper was trained on

# Closer to the end of the audio Whisper falls into loops (docs/decisions/0004-fitted-mel-window.md).
MARGIN_S = 4.0
MIN_WINDOW_S = 8.0

# Whisper writes at most 224 tokens for 30 s; a loop is cut off after as many as that rate allows for the audio.
TOKENS_PER_S = 224 / 30
SPARE_TOKENS = 16
MAX_TOKENS = 200  # with the longest prompt, 228 tokens, this stays within the decoder's 448

# faster-whisper tries six temperatures and five samples at each, which takes half a minute where nothing helps: somebody
# waits for an answer here.
FALLBACK_TEMPERATURES = (0.0, 0.4, 0.8)
SAMPLES_PER_TEMPERATURE = 1


def window_for(audio_s: float, min_window_s: float = MIN_WINDOW_S) -> float:
    """The window in seconds that an utterance gets."""
    return min(FULL_WINDOW_S, max(min_window_s, audio_s + MARGIN_S))


def max_tokens_for(audio_s: float) -> int:
    """How many tokens an utterance of at most 30 s may have."""
    return min(MAX_TOKENS, SPARE_TOKENS + int(audio_s * TOKENS_PER_S))


@dataclass(frozen=True, slots=True)
class Options:
    """How to write."""

    limits: Limits
    language: str | None = None  # None: detected in each utterance
    beam_size: int = 1
    prompt: str | None = None


class FittedWhisper(WhisperModel):  # type: ignore[misc]  # the library has no types
    """faster-whisper's model with a window of its own length.

    faster-whisper pads the mel spectrogram of every window to 30 s and hands it to `encode`. The encoder takes any length,
    and its time grows with it, so what is cut off here is padding, and all that comes after (language detection, the
    fall-back to higher temperatures, splitting into segments) stays faster-whisper's own.
    """

    _window_s = FULL_WINDOW_S

    def encode(self, features: NDArray[np.float32]) -> object:
        """:param features: log-mel spectrogram, shape [mel bins, frames]"""
        return super().encode(features[..., : round(self._window_s * self.frames_per_second)])

    def write(self, samples: NDArray[np.float32], window_s: float, options: Options) -> tuple[list[Written], str]:
        """Transcribe 16 kHz mono audio of full scale 1; gives what was written, piece by piece, and its language.

        The full window falls back to higher temperatures where the text repeats or scores low. A shorter one does not: it
        is the full window's turn then. Audio of more than 30 s goes through in windows of 30 s.
        """
        audio_s = len(samples) / SAMPLE_RATE_HZ
        full = window_s >= FULL_WINDOW_S
        several = audio_s > FULL_WINDOW_S
        self._window_s = window_s
        segments, info = self.transcribe(
            samples,
            language=options.language,
            beam_size=options.beam_size,
            temperature=FALLBACK_TEMPERATURES if full else 0.0,
            best_of=SAMPLES_PER_TEMPERATURE,
            initial_prompt=options.prompt,
            no_speech_threshold=options.limits.no_speech,
            log_prob_threshold=options.limits.log_prob,
            compression_ratio_threshold=options.limits.compression_ratio,
            condition_on_previous_text=False,  # a hallucination must not infect the next window
            without_timestamps=not several,  # they decide where the next window begins, and cost accuracy on noise
            max_new_tokens=None if several else max_tokens_for(audio_s),
        )
        written = [
            Written(s.text.strip(), len(s.tokens), s.avg_logprob, s.no_speech_prob, s.compression_ratio) for s in segments
        ]
        return written, info.language
