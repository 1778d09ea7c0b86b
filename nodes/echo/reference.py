"""What the loudspeaker played, as speech models hear it: 16 kHz, addressed by sample index, silence where nothing was told."""

from __future__ import annotations

from math import gcd

import numpy as np
from numpy.typing import NDArray

from nodes.echo.clock import SampleClock
from nodes.pcm import Resampler, from_payload, to_float, to_s16
from nodes.speech_audio import SAMPLE_RATE_HZ

KEPT = 4 * SAMPLE_RATE_HZ  # samples: what a card may be told ahead, and a microphone be late, are fractions of a second
SHORT_GAP_S = 0.1  # silence that is resampled; behind a longer one the resampler begins anew
# Cubic interpolation: as good a reference as the best quality (docs/decisions/0020-echo.md), and nothing of it is held back,
# where the better ones hold back 20 to 40 ms.
QUALITY = "QQ"


class Reference:
    """One loudspeaker. Indexes count samples at 16 kHz from the loudspeaker's own first one."""

    def __init__(self, sample_rate: int, start: int) -> None:
        """`sample_rate`: Hz, of the frames to come; `start`: the index of their first sample."""
        self.end = 0  # index behind the last sample that is known
        self.clock = SampleClock(sample_rate)
        self.sample_rate = sample_rate
        self._expected = 0  # index of the next sample, as the frames count them
        self._ring: NDArray[np.int16] = np.zeros(KEPT, np.int16)
        self._go_to(start)
        self._begin = self.end  # nothing is known before it

    def goes_on_with(self, sample_rate: int, start: int) -> bool:
        """False where the frame is of another loudspeaker, or the node that tells of it was started again."""
        return sample_rate == self.sample_rate and start >= self._expected

    def add(self, payload: bytes | memoryview, start: int, end_ns: int) -> None:
        """A frame: its s16 samples, the index of the first, and when the last is heard (monotonic)."""
        samples = to_float(from_payload(payload))
        if start - self._expected > SHORT_GAP_S * self.sample_rate:
            self._go_to(start)
        self._push(np.concatenate([np.zeros(start - self._expected, np.float32), samples]))
        self._expected = start + len(samples)
        self.clock.hear(self._expected, end_ns)

    def read(self, at: int, count: int) -> NDArray[np.int16]:
        """The samples from index `at` on, shape [count]."""
        indexes = np.arange(at, at + count)
        known = (indexes >= max(self._begin, self.end - KEPT)) & (indexes < self.end)
        return np.where(known, self._ring[indexes % KEPT], np.int16(0))

    def _go_to(self, start: int) -> None:
        """Silence up to here. Both rates meet every so many samples: begun there, each stretch has the same phase."""
        common = gcd(self.sample_rate, SAMPLE_RATE_HZ)
        periods = start // (self.sample_rate // common)
        self._resampler = Resampler(self.sample_rate, SAMPLE_RATE_HZ, QUALITY)
        self._expected = periods * (self.sample_rate // common)
        at = periods * (SAMPLE_RATE_HZ // common)
        self._ring[np.arange(max(self.end, at - KEPT), at) % KEPT] = 0
        self.end = at

    def _push(self, sound: NDArray[np.float32]) -> None:
        samples = to_s16(self._resampler.push(sound))[-KEPT:]
        self._ring[np.arange(self.end, self.end + len(samples)) % KEPT] = samples
        self.end += len(samples)
