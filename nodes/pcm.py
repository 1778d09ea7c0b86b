"""Sound as arrays: s16 payloads to and from numpy, and a change of sample rate for sound that comes piece by piece."""

from __future__ import annotations

import numpy as np
import soxr
from numpy.typing import NDArray

FULL_SCALE = 32_768  # of s16; the same factor both ways, so that s16 -> float -> s16 changes no bit


def from_payload(payload: bytes | memoryview) -> NDArray[np.int16]:
    """The samples of an audio frame, shape [n]; a view, not a copy."""
    return np.frombuffer(payload, dtype="<i2")


def to_float(samples: NDArray[np.int16]) -> NDArray[np.float32]:
    """s16 as -1 to 1."""
    return samples.astype(np.float32) / FULL_SCALE


def to_s16(samples: NDArray[np.float32]) -> NDArray[np.int16]:
    """-1 to 1 as s16; what is louder is clipped."""
    return np.clip(np.rint(samples * FULL_SCALE), -FULL_SCALE, FULL_SCALE - 1).astype("<i2")


class Resampler:
    """One stretch of mono float sound from one rate to another, in pieces of any length.

    What comes out lags behind by the length of the filter, a few milliseconds and at most 40; `last` brings out the rest.
    """

    def __init__(self, from_hz: int, to_hz: int, quality: str = "HQ") -> None:
        """:param quality: soxr's, from "VHQ" down to "QQ", which interpolates and holds nothing back."""
        self._soxr = soxr.ResampleStream(from_hz, to_hz, 1, dtype="float32", quality=quality) if from_hz != to_hz else None

    def push(self, samples: NDArray[np.float32], *, last: bool = False) -> NDArray[np.float32]:
        """shape [n] -> [m]; m may be 0. After `last` nothing more may be pushed."""
        if self._soxr is None:
            return samples
        resampled: NDArray[np.float32] = self._soxr.resample_chunk(samples, last=last)
        return resampled
