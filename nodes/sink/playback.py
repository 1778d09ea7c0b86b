"""Between the node that is given replies and the sound card's thread, which must never wait."""

from __future__ import annotations

from array import array
from collections import deque
from dataclasses import dataclass
from threading import Lock
from typing import Protocol

from nodes.sink.heard import Stretch
from nodes.sound_device import sound_ns

BYTES_PER_SAMPLE = 2
SOFT = 0.25  # of its loudness, 12 dB less
UNTOLD = 1000  # blocks that are kept while nobody asks what was heard


class StreamTimes(Protocol):
    """PortAudio's times of a block, in seconds of its own clock."""

    currentTime: float
    outputBufferDacTime: float  # when the block's first sample is heard


class StreamStatus(Protocol):
    """What PortAudio found wrong before a block."""

    output_underflow: bool


@dataclass(slots=True, eq=False)
class Track:
    """A reply on its way to the sound card. Samples are of the card's rate."""

    session: str = ""
    queued: int = 0
    handed: int = 0  # that the card has been given
    audible_from: int | None = None  # index of its first audible sample
    audible_ns: int | None = None  # when that one is heard
    end_ns: int = 0  # when the last sample handed out is heard
    dry: int = 0  # the queue's count of silence when the card was given its last sample

    def played(self, at_ns: int) -> bool:
        """All that was queued has been heard by then."""
        return self.handed == self.queued and self.end_ns <= at_ns

    def heard(self, at_ns: int, sample_rate: int) -> int:
        """How many samples were heard by then."""
        ahead = max(0, self.end_ns - at_ns) * sample_rate / 1e9
        return max(0, self.handed - round(ahead))


def softened(samples: memoryview) -> bytes:
    """s16 samples, less loud."""
    soft = array("h", bytes(samples))
    for index, sample in enumerate(soft):
        soft[index] = int(sample * SOFT)
    return soft.tobytes()


class PlaybackQueue:
    """Samples s16 mono, first in, first out."""

    def __init__(self, sample_rate: int) -> None:
        self.underflows = 0  # how often the card ran dry though it was fed in time
        self.sample_rate = sample_rate  # Hz
        self.telling = False  # whether what is heard is kept for `heard`
        self._heard: deque[Stretch] = deque(maxlen=UNTOLD)
        self._pulled = 0  # samples that the card was given, silence among them
        self._dry = 0  # of these, silence because there was nothing to say
        self._softly: int | None = None  # samples until it pauses; None: it does not
        self._lock = Lock()
        self._chunks: deque[tuple[Track, memoryview]] = deque()

    def add(self, track: Track, payload: bytes) -> None:
        """Samples to be heard after all that was added before."""
        with self._lock:
            self._chunks.append((track, memoryview(payload)))
            track.queued += len(payload) // BYTES_PER_SAMPLE

    def ran_dry(self, track: Track) -> int:
        """For how many samples nothing was heard since the last that there is of this reply; none before its first."""
        with self._lock:
            return self._dry - track.dry if track.handed and track.handed == track.queued else 0

    def drop(self, track: Track) -> None:
        """What the card has not taken yet of this reply is not heard any more."""
        with self._lock:
            self._chunks = deque(chunk for chunk in self._chunks if chunk[0] is not track)
            track.queued = track.handed

    def step_back(self, softly: int) -> None:
        """So many samples are heard softly, then none until `go_on`."""
        with self._lock:
            if self._softly is None:
                self._softly = softly

    def go_on(self) -> None:
        """Where it had paused, as loud as before."""
        with self._lock:
            self._softly = None

    def heard(self) -> list[Stretch]:
        """What the card has been given since this was asked last."""
        with self._lock:
            found, self._heard = list(self._heard), deque(maxlen=UNTOLD)
        return found

    def callback(self, out: memoryview, samples: int, times: StreamTimes, status: StreamStatus) -> None:
        """Called by PortAudio, on its own thread, to fill a block."""
        self.underflows += status.output_underflow
        self.pull(out, sound_ns(times.currentTime, times.outputBufferDacTime))

    def pull(self, out: memoryview, heard_ns: int) -> None:
        """Fill a block whose first sample is heard at `heard_ns`; where there is nothing to say, with silence."""
        filled = 0
        with self._lock:
            most = len(out) if self._softly is None else min(len(out), self._softly * BYTES_PER_SAMPLE)
            while self._chunks and filled < most:
                track, chunk = self._chunks.popleft()
                part, rest = chunk[: most - filled], chunk[most - filled :]
                out[filled : filled + len(part)] = part if self._softly is None else softened(part)
                before = filled // BYTES_PER_SAMPLE
                part_ns = heard_ns + self._ns(before)
                self._handed(track, len(part) // BYTES_PER_SAMPLE, part_ns)
                filled += len(part)
                if self.telling:
                    said = bytes(out[filled - len(part) : filled])
                    self._heard.append(Stretch(track.session, self._pulled + before, said, part_ns))
                if rest:
                    self._chunks.appendleft((track, rest))
            if self._softly is not None:
                self._softly -= filled // BYTES_PER_SAMPLE
            else:
                self._dry += (len(out) - filled) // BYTES_PER_SAMPLE
            self._pulled += len(out) // BYTES_PER_SAMPLE
        out[filled:] = bytes(len(out) - filled)

    def _handed(self, track: Track, samples: int, heard_ns: int) -> None:
        if track.audible_ns is None and track.audible_from is not None and track.audible_from < track.handed + samples:
            track.audible_ns = heard_ns + self._ns(max(0, track.audible_from - track.handed))
        track.handed += samples
        track.dry = self._dry
        track.end_ns = heard_ns + self._ns(samples)

    def _ns(self, samples: int) -> int:
        return round(samples * 1e9 / self.sample_rate)
