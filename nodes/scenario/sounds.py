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

COUGH_MS = (80, 120)  # two bursts: a VAD hears speech in them, of less than a quarter of a second
COUGH_GAP_MS = 60
COUGH_HZ = (220, 198)  # the voice in each, at its beginning
COUGH_PEAK = 0.5  # of full scale
THROAT_HZ = ((650, 130, 1.0), (1100, 180, 0.7), (2500, 300, 0.3))  # formants of an open vowel: centre, width, share


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
    """Two bursts of breath and voice through a throat, that begin hard and die away."""
    gap: NDArray[np.float32] = np.zeros(COUGH_GAP_MS * SAMPLE_RATE_HZ // 1000, np.float32)
    first, second = (_burst(ms, hz, seed) for seed, (ms, hz) in enumerate(zip(COUGH_MS, COUGH_HZ, strict=True)))
    return np.concatenate([first, gap, second])


def _burst(ms: int, voice_hz: float, seed: int) -> NDArray[np.float32]:
    samples = ms * SAMPLE_RATE_HZ // 1000
    time = np.arange(samples) / SAMPLE_RATE_HZ
    phase = np.cumsum(voice_hz * (1 - 0.25 * time / time[-1])) / SAMPLE_RATE_HZ
    voice = np.sum([np.sin(2 * np.pi * k * phase) / k for k in range(1, 30)], axis=0)
    breath = np.random.default_rng(seed).standard_normal(samples)
    spectrum = np.fft.rfft(voice / np.abs(voice).max() + 0.3 * breath)
    hz = np.fft.rfftfreq(samples, 1 / SAMPLE_RATE_HZ)
    throat = np.sum([share * np.exp(-(((hz - centre) / width) ** 2)) for centre, width, share in THROAT_HZ], axis=0)
    envelope = np.minimum(1, np.arange(samples) / 160) * np.exp(-1.5 * np.arange(samples) / samples)
    sound = np.fft.irfft(spectrum * throat, samples) * envelope
    return (sound * (COUGH_PEAK / np.abs(sound).max())).astype(np.float32)


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
