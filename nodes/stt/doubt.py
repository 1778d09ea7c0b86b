"""When to believe what Whisper wrote: judged by its own scores and by how much sound there was. Numbers in, verdict out."""

from __future__ import annotations

import re
from dataclasses import dataclass

# Speech at hand says 10 bytes of text and more in a second of sound, single words 5; a script of longer characters has
# fewer of them (docs/decisions/0004-fitted-mel-window.md).
MIN_BYTES_PER_S = 8
SHORT_WORD_S = 0.5  # a second of sound may be a drawn-out "no"
DIGIT_BYTES = 5  # a digit is a word when it is said
SURE = -0.25  # mean log-probability of what was said whatever the silence score: clear words reach 0.4 to 0.6 of that, too


@dataclass(frozen=True, slots=True)
class Written:
    """What Whisper wrote for a stretch of audio, with its scores."""

    text: str
    tokens: int
    avg_logprob: float
    no_speech: float  # probability, 0 to 1
    compression_ratio: float  # of the text by zlib: high where it repeats


@dataclass(frozen=True, slots=True)
class Limits:
    """What separates believable from doubtful; openai-whisper's names and values, but for no_speech."""

    no_speech: float
    log_prob: float
    compression_ratio: float


def doubt(written: list[Written], sound_s: float, max_tokens: int, limits: Limits) -> str:
    """Why a short window may have misled Whisper: "repeats", "scores low" or "ends early"; empty where it did not.

    That nothing was written is no reason: Whisper must begin with a word, so it was dropped as silence, by two scores at once.

    :param sound_s: seconds of the audio that are not silence
    :param max_tokens: where writing was cut off, which is how a loop ends
    """
    for w in written:
        if w.compression_ratio > limits.compression_ratio or w.tokens >= max_tokens or says_again(w.text):
            return "repeats"
    if any(w.avg_logprob < limits.log_prob for w in written):
        return "scores low"
    if written and sum(_spoken_bytes(w.text) for w in written) < MIN_BYTES_PER_S * (sound_s - SHORT_WORD_S):
        return "ends early"
    return ""


def _spoken_bytes(text: str) -> int:
    return len(text.encode()) + (DIGIT_BYTES - 1) * sum(c.isdecimal() for c in text)


def says_again(text: str) -> bool:
    """Whether a phrase of three words or more follows itself at once, which is too little for zlib to notice."""
    words = re.findall(r"\w+", text.lower())
    return any(
        words[at : at + length] == words[at + length : at + 2 * length]
        for length in range(3, len(words) // 2 + 1)
        for at in range(len(words) - 2 * length + 1)
    )


def is_speech(written: Written, limits: Limits) -> bool:
    """Whether words were really said: Whisper finds "you", "I'm sorry." and endless loops in noise and music."""
    silent = written.no_speech > limits.no_speech and written.avg_logprob < SURE
    return not silent and written.compression_ratio <= limits.compression_ratio
