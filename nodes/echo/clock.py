"""When the samples of a source pass: the stamps of its frames jitter, the count of its samples does not."""

from __future__ import annotations

from collections import deque
from statistics import median_low

REMEMBERED = 50  # frames, one to two seconds: a late stamp or two move no median


class SampleClock:
    """The clock of one sound card, or of one source that counts its samples."""

    def __init__(self, sample_rate: int) -> None:
        self._sample_rate = sample_rate  # Hz
        self._zeros_ns: deque[int] = deque(maxlen=REMEMBERED)

    def hear(self, end: int, end_ns: int) -> None:
        """The sample before index `end` passed at `end_ns`, monotonic."""
        self._zeros_ns.append(end_ns - round(end * 1e9 / self._sample_rate))

    @property
    def zero_ns(self) -> int | None:
        """When the sample with index 0 passed; None: nothing was heard yet."""
        return median_low(self._zeros_ns) if self._zeros_ns else None
