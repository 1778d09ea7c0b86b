"""The user's side of a recording: frames of any rate, placed one after the other where they were spoken."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from nodes.pcm import Resampler, to_float, to_s16
from nodes.sink.stereo import Channel, StereoFile


class UserTrack:
    """One source of the user's voice, from one position of the recording on."""

    def __init__(self, recording: StereoFile, position: int, start: int, sample_rate: int) -> None:
        """`start`: the index of the source's first sample to come, which lies at `position`."""
        self.sample_rate = sample_rate  # Hz
        self.expected = start  # index of the sample that comes next
        self.written = position  # the channel is filled up to here; lags behind `end` by the resampler's filter
        self._recording = recording
        self._position = position
        self._start = start
        self._resampler = Resampler(sample_rate, recording.sample_rate)

    @property
    def end(self) -> int:
        """How far the user has come, in media time."""
        return self._position + (self.expected - self._start) * self._recording.sample_rate // self.sample_rate

    def add(self, samples: NDArray[np.int16], start: int) -> None:
        """A frame whose first sample has this index; what was lost on the way before it is silence."""
        if start > self.expected:
            self._put(self._resampler.push(np.zeros(start - self.expected, np.float32)))
        self._put(self._resampler.push(to_float(samples)))
        self.expected = start + len(samples)

    def close(self) -> None:
        """The source has ended: write what the resampler holds."""
        self._put(self._resampler.push(np.zeros(0, np.float32), last=True))

    def _put(self, sound: NDArray[np.float32]) -> None:
        self._recording.put(Channel.USER, self.written, to_s16(sound))
        self.written += len(sound)
