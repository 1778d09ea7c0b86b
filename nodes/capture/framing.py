"""From sound of any rate, in pieces of any length, to the equal frames that capture nodes send."""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np
from numpy.typing import NDArray

from nodes.capture.base import SAMPLE_RATE_HZ
from nodes.pcm import Resampler, from_payload, to_float, to_s16


class Framer:
    """Resamples to 16 kHz and cuts into frames of `frame_ms`, each s16 little-endian mono."""

    def __init__(self, sample_rate: int, frame_ms: int) -> None:
        self.frame_samples = SAMPLE_RATE_HZ * frame_ms // 1000
        self._resampler = Resampler(sample_rate, SAMPLE_RATE_HZ)
        self._rest: NDArray[np.int16] = np.zeros(0, np.int16)

    def push(self, samples: NDArray[np.float32]) -> Iterator[bytes]:
        """Mono sound, -1 to 1, shape [n]; yields the frames that are now whole."""
        yield from self._cut(self._resampler.push(samples))

    def push_s16(self, payload: bytes) -> Iterator[bytes]:
        """The same for s16 samples."""
        return self.push(to_float(from_payload(payload)))

    def flush(self) -> Iterator[bytes]:
        """No more sound: yields what is left, the last frame filled up with zeros."""
        yield from self._cut(self._resampler.push(np.zeros(0, np.float32), last=True))
        if len(self._rest):
            yield np.pad(self._rest, (0, self.frame_samples - len(self._rest))).tobytes()
            self._rest = self._rest[:0]

    def _cut(self, samples: NDArray[np.float32]) -> Iterator[bytes]:
        waiting = np.concatenate([self._rest, to_s16(samples)])
        whole = len(waiting) // self.frame_samples * self.frame_samples
        self._rest = waiting[whole:]
        for start in range(0, whole, self.frame_samples):
            yield waiting[start : start + self.frame_samples].tobytes()
