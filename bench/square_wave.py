"""A reply whose loudness can be read in any of its samples, and what was heard of it. Needs nothing but numpy, for Pipecat's
process reads it, too."""

from __future__ import annotations

import os
import struct
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from enum import IntEnum
from itertools import pairwise
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

RATE_HZ = 24_000
FRAME_MS = 100
TONE_HZ = 200
PEAK_S16 = 8000
AUDIBLE_S16 = 300  # as everywhere in the bench: what is louder is heard
FULL_S16 = PEAK_S16 // 2  # what is less loud is heard, and softened

_RECORD = struct.Struct("<qqq")  # begin, end (monotonic ns), loudness
PAUSE_NS = 50_000_000  # what is silent for so long has paused; less is a frame that was late


class Loudness(IntEnum):
    SOFT = 1
    FULL = 2


@dataclass(frozen=True)
class Stretch:
    """Sound of one loudness without a gap, monotonic ns."""

    begin_ns: int
    end_ns: int
    loudness: Loudness


def frames(length_ms: int) -> Iterator[bytes]:
    """The reply, s16 mono at RATE_HZ, in frames of FRAME_MS."""
    half: NDArray[np.int16] = np.full(RATE_HZ // TONE_HZ // 2, PEAK_S16, "<i2")
    frame = np.tile(np.concatenate([half, -half]), TONE_HZ * FRAME_MS // 1000).tobytes()
    for _ in range(length_ms // FRAME_MS):
        yield frame


def stretches(samples: NDArray[np.int16], sample_rate: int, end_ns: int) -> list[Stretch]:
    """What is heard in samples of which the last has been heard at `end_ns`."""
    height = np.abs(samples.astype(np.int32))
    loudness = (height > AUDIBLE_S16).astype(np.int8) + (height > FULL_S16)
    edges = [0, *(np.flatnonzero(np.diff(loudness)) + 1).tolist(), len(samples)]

    def at_ns(index: int) -> int:
        return end_ns - (len(samples) - index) * 1_000_000_000 // sample_rate

    return [
        Stretch(at_ns(begin), at_ns(end), Loudness(int(loudness[begin])))
        for begin, end in pairwise(edges)
        if end > begin and loudness[begin]
    ]


def merged(found: Sequence[Stretch]) -> list[Stretch]:
    """Stretches of one loudness that follow each other as one."""
    whole: list[Stretch] = []
    for one in sorted(found, key=lambda stretch: stretch.begin_ns):
        if whole and whole[-1].loudness is one.loudness and one.begin_ns - whole[-1].end_ns < PAUSE_NS:
            whole[-1] = Stretch(whole[-1].begin_ns, max(one.end_ns, whole[-1].end_ns), one.loudness)
        else:
            whole.append(one)
    return whole


class Ear:
    """Writes down what is heard, at once."""

    def __init__(self, run: Path) -> None:
        self._file = os.open(run / "heard", os.O_WRONLY | os.O_CREAT | os.O_APPEND)

    def hear(self, samples: NDArray[np.int16], sample_rate: int, end_ns: int) -> None:
        """Samples of which the last has been heard at `end_ns`."""
        for one in stretches(samples, sample_rate, end_ns):
            os.write(self._file, _RECORD.pack(one.begin_ns, one.end_ns, one.loudness))


def heard(run: Path) -> list[Stretch]:
    """All that was heard, merged."""
    data = (run / "heard").read_bytes()
    return merged([Stretch(begin, end, Loudness(loudness)) for begin, end, loudness in _RECORD.iter_unpack(data)])
