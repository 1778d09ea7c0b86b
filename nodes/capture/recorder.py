"""Between the sound card's thread, which must never wait, and the node that sends what it recorded."""

from __future__ import annotations

from collections import deque
from dataclasses import dataclass
from typing import Protocol

from nodes.sound_device import sound_ns


class StreamTimes(Protocol):
    """PortAudio's times of a block, in seconds of its own clock."""

    currentTime: float
    inputBufferAdcTime: float  # when the block's first sample was taken


class StreamStatus(Protocol):
    """What PortAudio found wrong before a block."""

    input_overflow: bool


@dataclass(frozen=True, slots=True)
class Block:
    """What the sound card gave at once, s16 mono."""

    payload: bytes
    end_ns: int  # when its last sample was spoken, monotonic


class Recorder:
    """A bounded queue of blocks; what comes while it is full is lost, and counted."""

    def __init__(self, sample_rate: int, depth: int) -> None:
        self.overflows = 0  # how often sound was lost, here or in the driver
        self._sample_rate = sample_rate  # Hz
        self._depth = depth  # blocks
        self._blocks: deque[Block] = deque()

    def callback(self, data: bytes | memoryview, samples: int, times: StreamTimes, status: StreamStatus) -> None:
        """Called by PortAudio, on its own thread, with each block."""
        self.overflows += status.input_overflow
        if len(self._blocks) >= self._depth:
            self.overflows += 1
            return
        length_s = samples / self._sample_rate
        self._blocks.append(Block(bytes(data), sound_ns(times.currentTime, times.inputBufferAdcTime, length_s)))

    def take(self) -> Block | None:
        """The oldest block, or None where there is none yet."""
        return self._blocks.popleft() if self._blocks else None
