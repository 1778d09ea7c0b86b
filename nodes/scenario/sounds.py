"""The sounds of a scenario: speech, recordings, noise and coughs as 16 kHz s16, the same samples every time.

Whoever stands in for a transcriber knows a word by its samples, so both make a sound with the same function.
"""

from __future__ import annotations

import hashlib
from collections.abc import Iterator
from contextlib import closing
from pathlib import Path
from typing import TypeAlias

import numpy as np
from numpy.typing import NDArray

from graph.scenarios.steps import Step
from nodes.capture.audio_file import open_audio
from nodes.pcm import Resampler, to_s16
from nodes.scenario.speech import spoken
from nodes.speech_audio import SAMPLE_RATE_HZ

Sound: TypeAlias = NDArray[np.int16]

COUGH_MS = (90, 140)  # two bursts, a short gap between them
COUGH_GAP_MS = 110
COUGH_PEAK = 0.4  # of full scale


def sound_of(step: Step, speech: Path, room_db: float) -> Sound:
    """What is heard of a step, shape [n] at 16 kHz; of one without sound, nothing.

    :param speech: the folder of spoken texts.
    :raises VoicegraphError: a recording cannot be read, or a text cannot be spoken.
    """
    if step.say is not None:
        return in_room(spoken(step.say, step.voice, speech), room_db)
    if step.file is not None:
        return in_room(_recorded(Path(step.file)), room_db)
    if step.noise is not None:
        return to_s16(noise(round(step.noise.lasts * SAMPLE_RATE_HZ), step.noise.db, seed=1))
    if step.cough:
        return in_room(cough(), room_db)
    return to_s16(noise(round((step.silence or 0) * SAMPLE_RATE_HZ), room_db, seed=2))


def noise(samples: int, db: float, seed: int) -> NDArray[np.float32]:
    """White noise of this loudness (RMS relative to full scale), shape [samples]."""
    return np.random.default_rng(seed).standard_normal(samples, np.float32) * np.float32(10 ** (db / 20))


def in_room(sound: NDArray[np.float32], room_db: float) -> Sound:
    """A sound with the noise of the room behind it."""
    seed = int.from_bytes(hashlib.sha256(sound.tobytes()).digest()[:4])
    return to_s16(sound + noise(len(sound), room_db, seed))


def cough() -> NDArray[np.float32]:
    """Two bursts of breath through a throat: noise in the bands of an open vowel, that begins hard and dies away."""
    parts: list[NDArray[np.float32]] = []
    for number, ms in enumerate(COUGH_MS):
        samples = ms * SAMPLE_RATE_HZ // 1000
        spectrum = np.fft.rfft(np.random.default_rng(number).standard_normal(samples))
        hz = np.fft.rfftfreq(samples, 1 / SAMPLE_RATE_HZ)
        formants = sum(np.exp(-(((hz - centre) / width) ** 2)) for centre, width in ((500, 150), (1500, 250), (2500, 400)))
        burst = np.fft.irfft(spectrum * formants, samples) * np.exp(-np.arange(samples) / (samples / 3))
        parts += [(burst * (COUGH_PEAK / np.abs(burst).max())).astype(np.float32), np.zeros(COUGH_GAP_MS * 16, np.float32)]
    return np.concatenate(parts[:-1])


def words_of(step: Step) -> list[str]:
    """The words that a step says."""
    return (step.say or step.words).split()


def word_ends(words: list[str], samples: int) -> Iterator[tuple[str, int]]:
    """Each word with the first sample after it, as if all letters were equally long."""
    letters, total = 0, sum(map(len, words))
    for word in words:
        letters += len(word)
        yield word, letters * samples // total


def _recorded(path: Path) -> NDArray[np.float32]:
    with closing(open_audio(path)) as file:
        resampler = Resampler(file.sample_rate, SAMPLE_RATE_HZ)
        blocks = [resampler.push(block) for block in file.blocks()]
        return np.concatenate([*blocks, resampler.push(np.zeros(0, np.float32), last=True)])
