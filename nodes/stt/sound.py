"""Where in an utterance there is sound."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

FRAME_MS = 20
BELOW_LOUDEST = 10 ** (-30 / 20)  # sound is what comes within 30 dB of the loudest frame: speech spans about that much
FLOOR = 1e-4  # of full scale, -80 dB: below it is silence, however quiet the rest


@dataclass(frozen=True, slots=True)
class Sound:
    """The sound in an utterance: from its first to its last frame, and how much of that is not silence."""

    start_ms: int = 0
    end_ms: int = 0
    seconds: float = 0.0


SILENCE = Sound()


def sound_in(samples: NDArray[np.float32], sample_rate_hz: int) -> Sound:
    """Measure a mono signal of full scale 1, shape [n]; what is left after its last whole frame is not looked at."""
    frame = sample_rate_hz * FRAME_MS // 1000
    frames = samples[: len(samples) // frame * frame].reshape(-1, frame)
    rms = np.sqrt(np.mean(np.square(frames), axis=1))
    loud = np.flatnonzero(rms > max(FLOOR, BELOW_LOUDEST * rms.max(initial=0.0)))
    if not len(loud):
        return SILENCE
    return Sound(int(loud[0]) * FRAME_MS, (int(loud[-1]) + 1) * FRAME_MS, len(loud) * FRAME_MS / 1000)
