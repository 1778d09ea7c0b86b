"""A stereo WAV file that is written as time goes by: what can no longer change goes to disk, the rest stays in memory."""

from __future__ import annotations

import wave
from contextlib import closing
from enum import IntEnum
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from nodes.sink.writing import writing

BYTES_PER_SAMPLE = 4  # two channels of s16
CAPACITY_SAMPLES = (2**32 - 64) // BYTES_PER_SAMPLE  # the sizes in a WAV header have 32 bits: 12 hours at 24 kHz


class Channel(IntEnum):
    USER = 0
    ASSISTANT = 1


class StereoFile:
    """The file's header is right after every write, so that even a killed process leaves a file that plays.

    Positions count samples from the start of the file. Before `settled` nothing can be put any more.

    :raises NodeError: from every method, when the file cannot be written.
    """

    def __init__(self, path: Path, sample_rate: int) -> None:
        self.path = path
        self.sample_rate = sample_rate  # Hz
        self.settled = 0
        self.end = 0
        self._window: NDArray[np.int16] = np.zeros((0, 2), "<i2")  # from `settled` on, filled up to `end`
        with writing(path):
            self._file = path.open("wb")
            self._wave = wave.open(self._file, "wb")  # noqa: SIM115  (`close` closes it)
            self._wave.setparams((2, 2, sample_rate, 0, "NONE", "not compressed"))
            self._wave.writeframes(b"")

    @property
    def full(self) -> bool:
        """A WAV file holds no more; what comes later is not recorded."""
        return self.settled > CAPACITY_SAMPLES

    def put(self, channel: Channel, at: int, samples: NDArray[np.int16]) -> None:
        """Place samples, shape [n], at a position that is not settled yet."""
        start = at - self.settled
        self.end = max(self.end, at + len(samples))
        if (missing := self.end - self.settled - len(self._window)) > 0:
            growth = max(missing, self.sample_rate)  # a second at a time: frames are short and each growth copies
            self._window = np.concatenate([self._window, np.zeros((growth, 2), "<i2")])
        self._window[start : start + len(samples), channel] = samples

    def soften(self, channel: Channel, start: int, end: int, share: float) -> None:
        """Make what lies between two positions less loud; what is settled stays."""
        window = self._window[max(0, start - self.settled) : max(0, end - self.settled), channel]
        window[:] = (window * share).astype(np.int16)

    def read(self, channel: Channel, start: int, end: int) -> NDArray[np.int16]:
        """What lies between two positions that are not settled."""
        found: NDArray[np.int16] = self._window[start - self.settled : end - self.settled, channel].copy()
        return found

    def take(self, channel: Channel, start: int, end: int) -> NDArray[np.int16]:
        """Take back what lies between two positions that are not settled, and return it."""
        found = self.read(channel, start, end)
        self.silence(channel, start, end)
        return found

    def silence(self, channel: Channel, start: int, end: int) -> None:
        """Take back what lies between two positions; what is settled stays."""
        self._window[max(0, start - self.settled) : max(0, end - self.settled), channel] = 0

    def settle(self, until: int) -> None:
        """Everything before this position is as it will be; it is written once it makes a second."""
        if min(until, self.end) - self.settled >= self.sample_rate:
            self._write(min(until, self.end))

    def close(self) -> None:
        """Write the rest; may be called again."""
        if self._file.closed:
            return
        with writing(self.path), self._file, closing(self._wave):
            self._write(self.end)

    def _write(self, until: int) -> None:
        count = until - self.settled
        writable = max(0, min(count, CAPACITY_SAMPLES - self.settled))
        with writing(self.path):
            self._wave.writeframes(self._window[:writable].tobytes())
        self._window = self._window[count:]
        self.settled = until
