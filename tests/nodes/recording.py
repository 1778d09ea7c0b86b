"""The recorded questions as frames, and what the VAD hears in them."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import numpy as np
import soundfile

from nodes.kinds import AudioFrame

QUESTIONS = Path(__file__).parents[2] / "examples/audio/questions.wav"
RATE_HZ = 16_000


def frames(samples: int = 512, tail_s: float = 3, file: Path = QUESTIONS) -> Iterator[tuple[AudioFrame, bytes, int]]:
    """(frame, payload, when its last sample was spoken): as capture.file sends them, the clock at 0 when it starts."""
    sound, rate = soundfile.read(file, dtype="int16")
    assert rate == RATE_HZ
    sound = np.concatenate([sound, np.zeros(int(tail_s * RATE_HZ), np.int16)])
    for start in range(0, len(sound) - samples + 1, samples):
        spoken_ns = (start + samples) * 1_000_000_000 // RATE_HZ
        yield AudioFrame(RATE_HZ, start), sound[start : start + samples].tobytes(), spoken_ns
