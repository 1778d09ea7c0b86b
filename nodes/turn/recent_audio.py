"""The newest audio of one session, addressed by sample index, with the time at which each sample was spoken."""

from __future__ import annotations

from collections import deque

import numpy as np
from numpy.typing import NDArray

from graph.message import Message
from nodes.kinds import AudioFrame

LOUD = 300  # of s16: above it is speech, not room noise (as the latency benches of this field count it)


class RecentAudio:
    """Keeps the last `seconds` of a stream of frames; lost frames are silence."""

    def __init__(self, seconds: float, sample_rate: int) -> None:
        self._sample_rate = sample_rate
        self._capacity = int(seconds * sample_rate)
        self._frames: deque[tuple[int, NDArray[np.int16], int]] = deque()  # first sample, samples, origin_ns
        self.end = 0  # first sample not yet heard

    @property
    def begin(self) -> int:
        """The oldest sample still kept."""
        return self._frames[0][0] if self._frames else self.end

    def add(self, message: Message[AudioFrame]) -> None:
        """Take in a frame; one that lies before what was heard starts a new count of samples."""
        samples = np.frombuffer(message.payload, "<i2")
        start = message.body.start
        if start < self.end:
            self._frames.clear()
        self._frames.append((start, samples, message.origin_ns))
        self.end = start + len(samples)
        while self.end - self._frames[0][0] > self._capacity and len(self._frames) > 1:
            self._frames.popleft()

    def samples(self, begin: int, end: int) -> NDArray[np.int16]:
        """The samples [begin, end) as far as they are kept, shape [n]; what was lost in between is zero."""
        begin, end = max(begin, self.begin), min(end, self.end)
        found: NDArray[np.int16] = np.zeros(max(0, end - begin), np.int16)
        for start, samples, _ in self._frames:
            first, last = max(begin, start), min(end, start + len(samples))
            if first < last:
                found[first - begin : last - begin] = samples[first - start : last - start]
        return found

    def spoken_at_ns(self, index: int) -> int:
        """When a sample was spoken, monotonic; 0 when it is not kept."""
        for start, samples, origin_ns in self._frames:
            if start <= index < start + len(samples):
                behind = start + len(samples) - 1 - index
                return origin_ns - behind * 1_000_000_000 // self._sample_rate
        return 0

    def last_loud(self, begin: int, end: int) -> int | None:
        """The index of the last loud sample in [begin, end); None when all of it is quiet."""
        samples = self.samples(begin, end)
        loud = np.flatnonzero(np.abs(samples.astype(np.int32)) > LOUD)
        return max(begin, self.begin) + int(loud[-1]) if len(loud) else None
