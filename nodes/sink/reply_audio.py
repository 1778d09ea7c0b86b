"""A reply's sound at the rate of the sink, and where in it something is heard."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from nodes.pcm import Resampler, from_payload, to_float, to_s16

AUDIBLE_S16 = 300  # a sample louder than this is heard (about -41 dBFS); below lies the lead-in of speech synthesis


class ReplyAudio:
    """Frame by frame in, s16 samples of the sink's rate out, shape [n]; n may be 0."""

    def __init__(self, from_hz: int, to_hz: int) -> None:
        self.samples = 0  # that came out so far
        self.audible_from: int | None = None  # index of the first audible one
        self._resampler = Resampler(from_hz, to_hz)

    def push(self, payload: bytes | memoryview) -> NDArray[np.int16]:
        return self._out(self._resampler.push(to_float(from_payload(payload))))

    def finish(self) -> NDArray[np.int16]:
        """Nothing more comes: the rest."""
        return self._out(self._resampler.push(np.zeros(0, np.float32), last=True))

    def _out(self, sound: NDArray[np.float32]) -> NDArray[np.int16]:
        samples = to_s16(sound)
        if self.audible_from is None and len(loud := np.flatnonzero(np.abs(samples.astype(np.int32)) > AUDIBLE_S16)):
            self.audible_from = self.samples + int(loud[0])
        self.samples += len(samples)
        return samples
