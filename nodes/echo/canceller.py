"""The ear that knows what the loudspeaker plays, and hears the rest."""

from __future__ import annotations

from math import gcd

import numpy as np
from pywebrtc_audio import EchoCanceller

from nodes.echo.hush import Hush, audible
from nodes.echo.room import Samples
from nodes.speech_audio import SAMPLE_RATE_HZ, samples

BLOCK = samples(10)  # what AEC3 takes at once


class Canceller:
    """See `nodes.echo.room.Ear`. In its first reply it is silent until it knows the room."""

    def __init__(self, learn: int, tail: int) -> None:
        """`learn`: samples of the reply's sound; `tail`: samples, see `Hush`."""
        self._aec = EchoCanceller(SAMPLE_RATE_HZ)
        self._unknown = learn  # so much is still to be learned
        self._hush = Hush(tail)
        self._near: Samples = np.zeros(0, np.int16)  # less than a block
        self._far: Samples = np.zeros(0, np.int16)
        self._out: Samples | None = None

    def hear(self, near: Samples, far: Samples) -> Samples:
        cleaned = self._cancel(near, far)
        if self._unknown <= 0:
            return cleaned
        hushed = self._hush.over(far)
        self._unknown -= len(far) if audible(far).any() else 0
        return np.where(hushed, np.int16(0), cleaned)

    def _cancel(self, near: Samples, far: Samples) -> Samples:
        """Frames are no whole blocks: what leaves lags behind by as much as one frame or another lacks."""
        if self._out is None:
            self._out = np.zeros(BLOCK - gcd(len(near), BLOCK), np.int16)
        self._near, self._far = np.concatenate([self._near, near]), np.concatenate([self._far, far])
        whole = len(self._near) // BLOCK * BLOCK
        if whole:
            self._out = np.concatenate([self._out, self._aec.process(self._near[:whole], self._far[:whole])])
            self._near, self._far = self._near[whole:], self._far[whole:]
        lacking = max(0, len(near) - len(self._out))  # frames of another length than the first
        out = np.concatenate([np.zeros(lacking, np.int16), self._out])
        self._out = out[len(near) :]
        return out[: len(near)]
