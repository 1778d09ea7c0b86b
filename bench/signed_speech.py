"""Speech that carries who said it: the lowest bits of every sample are the speaker's number, which no ear and no model minds.

So what reaches a transcriber tells whose it is, whatever is written on the message; and samples of two speakers in one
utterance show. Needs nothing but numpy, for Pipecat's process reads it, too.
"""

from __future__ import annotations

import re

import numpy as np
from numpy.typing import NDArray

from bench.square_wave import AUDIBLE_S16

SPEAKER_BITS = 4
MOST_SPEAKERS = 2**SPEAKER_BITS - 1  # 0 is nobody: the silence between two questions
STRAY = 0.01  # share of an utterance's samples that counts as another speaker's
NO_WORDS_S = 0.5  # what is loud for less holds no words: a cough


def signed(samples: NDArray[np.int16], speaker: int) -> NDArray[np.int16]:
    """What a speaker says, with the number, 1 to MOST_SPEAKERS, in it."""
    if not 1 <= speaker <= MOST_SPEAKERS:
        raise ValueError(f"there is no speaker {speaker}: 1 to {MOST_SPEAKERS}")
    kept: NDArray[np.int16] = samples & ~MOST_SPEAKERS | speaker
    return kept


def speakers(samples: NDArray[np.int16]) -> list[int]:
    """Whose samples these are."""
    numbers, counts = np.unique(samples & MOST_SPEAKERS, return_counts=True)
    return [int(n) for n, count in zip(numbers, counts, strict=True) if n and count > STRAY * len(samples)]


def words(samples: NDArray[np.int16], sample_rate: int) -> str:
    """What a transcriber would have understood: who spoke; nothing where it was too short for words."""
    loud = np.flatnonzero(np.abs(samples.astype(np.int32)) > AUDIBLE_S16)
    if not len(loud) or loud[-1] - loud[0] < NO_WORDS_S * sample_rate:
        return ""
    return " and ".join(f"speaker {number}" for number in speakers(samples))


def named(text: str) -> set[int]:
    """The speakers that a text names."""
    return {int(number) for number in re.findall(r"speaker (\d+)", text)}
