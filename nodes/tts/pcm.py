"""From the blocks of samples that an engine makes to the frames that leave: trimmed, resampled, cut."""

from __future__ import annotations

from collections.abc import Iterator
from typing import TypeAlias

import numpy as np
import soxr
from numpy.typing import NDArray

Samples: TypeAlias = NDArray[np.float32]  # shape [n], -1 to 1

# Below this it is silence: -46 dB of full scale. Kokoro and Piper speak with peaks of -8 to 0 dB.
LOUD = 0.005
# Kept before the first loud sample, so that a soft consonant is not cut off.
LEAD_IN_MS = 20


class FrameCutter:
    """The frames of one clause: mono s16 little-endian, all of `frame_ms`, the last one filled up with silence.

    The engine's silence before and after the speech is left out, and a pause of a chosen length put after it.
    """

    def __init__(self, native_hz: int, sample_rate: int, frame_ms: int) -> None:
        self._native_hz = native_hz
        self._sample_rate = sample_rate
        self._frame_bytes = sample_rate * frame_ms // 1000 * 2
        self._resampler = soxr.ResampleStream(native_hz, sample_rate, 1, dtype="float32") if native_hz != sample_rate else None
        self._speaking = False
        self._quiet: Samples = np.zeros(0, np.float32)  # since the last loud sample: speech if more of it follows
        self._pcm = b""

    def add(self, block: Samples) -> Iterator[bytes]:
        """Take in what the engine made; gives the frames that are complete."""
        yield from self._cut(self._trimmed(block), last=False)

    def end(self, pause_ms: int) -> Iterator[bytes]:
        """The engine has finished: the last frames. Nothing at all if there was nothing to hear."""
        if self._speaking:
            pause: Samples = np.zeros(self._native_hz * pause_ms // 1000, np.float32)
            yield from self._cut(pause, last=True)
            if self._pcm:
                yield self._pcm.ljust(self._frame_bytes, b"\0")

    def _trimmed(self, block: Samples) -> Samples:
        samples = np.concatenate([self._quiet, block])
        loud = np.flatnonzero(np.abs(samples) > LOUD)
        margin = self._native_hz * LEAD_IN_MS // 1000
        if not len(loud):
            self._quiet = samples if self._speaking else samples[-margin:]
            return samples[:0]
        begin = 0 if self._speaking else max(0, int(loud[0]) - margin)
        end = int(loud[-1]) + 1
        self._speaking = True
        self._quiet = samples[end:]
        return samples[begin:end]

    def _cut(self, samples: Samples, *, last: bool) -> Iterator[bytes]:
        if self._resampler is not None:
            samples = self._resampler.resample_chunk(samples, last)
        self._pcm += (np.clip(samples, -1, 1) * 32767).astype("<i2").tobytes()
        while len(self._pcm) >= self._frame_bytes:
            frame, self._pcm = self._pcm[: self._frame_bytes], self._pcm[self._frame_bytes :]
            yield frame
