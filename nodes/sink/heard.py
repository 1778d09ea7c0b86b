"""What leaves the loudspeaker, told of while it does: the reference of an echo canceller."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

from nodes.kinds import AudioFrame

BYTES_PER_SAMPLE = 2
FRAME_MS = 20  # the longest frame that is told


@dataclass(frozen=True, slots=True)
class Stretch:
    """Sound without a gap, as it is heard: softened where it was softened, without what was cut."""

    session: str
    start: int  # index of its first sample; the count goes on through silence
    payload: bytes  # s16 little-endian mono
    heard_ns: int  # when its first sample is heard, monotonic

    def frames(self, sample_rate: int) -> Iterator[tuple[AudioFrame, bytes, int]]:
        """Each frame with its payload and when its last sample is heard (monotonic)."""
        most = sample_rate * FRAME_MS // 1000 * BYTES_PER_SAMPLE
        for at in range(0, len(self.payload), most):
            part = self.payload[at : at + most]
            end = (at + len(part)) // BYTES_PER_SAMPLE
            yield (
                AudioFrame(sample_rate, self.start + at // BYTES_PER_SAMPLE),
                part,
                self.heard_ns + round(end * 1e9 / sample_rate),
            )
