"""One session: the microphone's frames, and beside each of them what the loudspeaker played in that time."""

from __future__ import annotations

from collections import deque
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Protocol, TypeAlias

import numpy as np
from numpy.typing import NDArray

from graph.message import Message
from nodes.echo.clock import SampleClock
from nodes.echo.reference import Reference
from nodes.kinds import AudioFrame
from nodes.pcm import from_payload
from nodes.speech_audio import SAMPLE_RATE_HZ, samples

Samples: TypeAlias = NDArray[np.int16]

# How far the clocks of microphone and loudspeaker may have drifted apart before they are laid side by side anew (a
# canceller follows a drift by itself, and has to learn anew after a jump): at 50 ppm, 10 ms come together in 200 s.
DRIFT = samples(10)
LONGEST_FILLED_GAP = SAMPLE_RATE_HZ
SOUNDING = samples(100)  # so long after the last sound that was told, more of it may still be under way


class Ear(Protocol):
    """What an engine of the family does for one session."""

    def hear(self, near: Samples, far: Samples) -> Samples:
        """The microphone's next samples, and what was played in that time: all of shape [n]. Returns what is left of them."""


@dataclass(frozen=True, slots=True)
class Held:
    """A frame of the microphone that waits for its reference."""

    message: Message[AudioFrame]
    samples: Samples
    until_ns: int  # it waits no longer than that

    @property
    def end(self) -> int:
        return self.message.body.start + len(self.samples)


class Room:
    """Pairs the two by time, of which both sides are told with every frame."""

    def __init__(self, ear: Ear) -> None:
        self._ear = ear
        self._reference: Reference | None = None
        self._clock = SampleClock(SAMPLE_RATE_HZ)
        self._expected = 0  # the microphone's next sample
        self._heard: int | None = None  # and the one that the ear hears next
        self._ahead: int | None = None  # the loudspeaker's index less the microphone's, of one moment
        self._held: deque[Held] = deque()

    def play(self, message: Message[AudioFrame]) -> None:
        """A frame of what the loudspeaker plays."""
        rate, start = message.body.sample_rate, message.body.start
        if self._reference is None or not self._reference.goes_on_with(rate, start):
            self._reference, self._ahead = Reference(rate, start), None
        self._reference.add(message.payload, start, message.origin_ns)

    def take(self, message: Message[AudioFrame], until_ns: int) -> None:
        """A frame of the microphone."""
        held = Held(message, from_payload(bytes(message.payload)), until_ns)
        if message.body.start < self._expected:  # its source was started again
            self._clock, self._ahead = SampleClock(SAMPLE_RATE_HZ), None
        self._expected = held.end
        self._clock.hear(held.end, message.origin_ns)
        self._held.append(held)

    def ready(self, now_ns: int) -> Iterator[Held]:
        """The frames, in their order, of which the reference is known, or that have waited long enough for it."""
        while self._held and (self._held[0].until_ns <= now_ns or self._known(self._held[0])):
            yield self._held.popleft()

    def rest(self) -> Iterator[Held]:
        """All that wait."""
        while self._held:
            yield self._held.popleft()

    @property
    def waits_until_ns(self) -> int | None:
        """When the next frame is ready, if nothing comes before."""
        return self._held[0].until_ns if self._held else None

    def hear(self, held: Held) -> Samples:
        """What is left of a frame; what the microphone lost before it is heard as silence."""
        start = held.message.body.start
        before, self._heard = self._heard, held.end
        if before is not None and 0 < (lost := start - before) <= LONGEST_FILLED_GAP:
            self._ear.hear(np.zeros(lost, np.int16), self._played(before, lost))
        return self._ear.hear(held.samples, self._played(start, len(held.samples)))

    def _played(self, start: int, count: int) -> Samples:
        """Beside samples of the microphone."""
        if self._reference is None:
            return np.zeros(count, np.int16)
        return self._reference.read(start + self._lead(self._reference), count)

    def _known(self, held: Held) -> bool:
        if self._reference is None:
            return True
        missing = held.end + self._lead(self._reference) - self._reference.end
        return not 0 < missing <= SOUNDING

    def _lead(self, reference: Reference) -> int:
        here_ns, there_ns = self._clock.zero_ns, reference.clock.zero_ns
        lead = round(((here_ns or 0) - (there_ns or 0)) * SAMPLE_RATE_HZ / 1e9)
        if self._ahead is None or abs(lead - self._ahead) > DRIFT:
            self._ahead = lead
        return self._ahead
