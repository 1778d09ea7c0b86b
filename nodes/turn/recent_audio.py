"""The newest audio of one session, addressed by sample index, with the time at which each sample was spoken."""

from __future__ import annotations

from collections import deque
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from nodes.speech_audio import SAMPLE_RATE_HZ

LOUD = 300  # of s16, about -41 dBFS: above it is speech, below it the noise of a room


class _Frame(NamedTuple):
    begin: int  # first sample
    samples: NDArray[np.int16]
    origin_ns: int  # when its last sample was spoken

    @property
    def end(self) -> int:
        return self.begin + len(self.samples)


class RecentAudio:
    """Keeps at least the last `capacity` samples of a stream of frames; what was lost on the way is silence."""

    def __init__(self, capacity: int) -> None:
        self._capacity = capacity
        self._frames: deque[_Frame] = deque()

    @property
    def begin(self) -> int:
        """The oldest sample still kept."""
        return self._frames[0].begin if self._frames else 0

    @property
    def end(self) -> int:
        """The first sample that has not come yet."""
        return self._frames[-1].end if self._frames else 0

    def add(self, payload: bytes | memoryview, begin: int, origin_ns: int) -> None:
        """Take in a frame of s16 samples; one that lies before what was heard starts a new count of samples."""
        if begin < self.end:
            self._frames.clear()
        self._frames.append(_Frame(begin, np.frombuffer(payload, "<i2"), origin_ns))
        while self.end - self._frames[0].end >= self._capacity:
            self._frames.popleft()

    def samples(self, begin: int, end: int) -> NDArray[np.int16]:
        """The samples [begin, end) as far as they are kept, shape [n]."""
        begin, end = max(begin, self.begin), min(end, self.end)
        found: NDArray[np.int16] = np.zeros(max(0, end - begin), np.int16)
        for frame in self._frames:
            first, last = max(begin, frame.begin), min(end, frame.end)
            if first < last:
                found[first - begin : last - begin] = frame.samples[first - frame.begin : last - frame.begin]
        return found

    def spoken_at_ns(self, index: int) -> int:
        """When a sample was spoken, monotonic; reckoned from the nearest frame where the sample itself is not kept.

        :raises IndexError: there is no audio at all.
        """
        frame = next((f for f in reversed(self._frames) if f.begin <= index), self._frames[0])
        return frame.origin_ns + (index - (frame.end - 1)) * 1_000_000_000 // SAMPLE_RATE_HZ


def last_loud(samples: NDArray[np.int16]) -> int | None:
    """The position of the last loud sample; None when all is quiet."""
    loud = np.flatnonzero(np.abs(samples.astype(np.int32)) > LOUD)
    return int(loud[-1]) if len(loud) else None
