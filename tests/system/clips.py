"""What users say, in voices of the model store: made once, kept in a folder. Mono at 16 kHz, full scale 1."""

from __future__ import annotations

from pathlib import Path
from typing import TypeAlias

import numpy as np
import soundfile
import soxr
from numpy.typing import NDArray

from graph.testing import Harness
from nodes.kinds import AudioFrame
from nodes.tts.base import Sentence

RATE_HZ = 16_000
LOUD = 0.01  # of full scale: what lies before and after it is cut off

Sound: TypeAlias = NDArray[np.float32]


def silence(seconds: float) -> Sound:
    return np.zeros(round(seconds * RATE_HZ), np.float32)


def spoken(folder: Path, text: str, voice: str = "am_michael") -> Sound:
    """A text in one of Kokoro's voices, without the silence around it."""
    path = folder / f"{voice} {text}.wav"
    if not path.exists():
        from nodes.tts.kokoro import Kokoro

        with Harness(Kokoro, voice=voice, sample_rate=24_000) as speaker:
            sent = speaker.feed("text", Sentence(text, last=True), turn=1)
        pcm = np.frombuffer(b"".join(one.payload for one in sent if isinstance(one.body, AudioFrame)), "<i2")
        sound = soxr.resample(pcm.astype(np.float32) / 32_768, 24_000, RATE_HZ)
        loud = np.flatnonzero(np.abs(sound) > LOUD)
        folder.mkdir(parents=True, exist_ok=True)
        soundfile.write(path, sound[loud[0] : loud[-1] + 1], RATE_HZ)
    found: Sound = soundfile.read(path, dtype="float32")[0]
    return found


def cough() -> Sound:
    """Two bursts of noise that die away."""
    chance = np.random.default_rng(1)
    bursts = [(0.18, 0.5), (0.12, 0.0), (0.15, 0.35)]  # seconds and loudness
    parts = []
    for seconds, loudness in bursts:
        count = round(seconds * RATE_HZ)
        noise = np.convolve(chance.normal(0, 1, count), np.ones(6) / 6, "same")
        parts.append(loudness * noise * np.exp(-np.linspace(0, 5, count)))
    return np.concatenate(parts).astype(np.float32)


def hum() -> Sound:
    """Half a second of a low tone: the VAD takes it for speech, and there are no words in it."""
    count = RATE_HZ // 2
    tone = 0.3 * np.sin(2 * np.pi * 140 * np.arange(count) / RATE_HZ) * np.hanning(count)
    return tone.astype(np.float32)
