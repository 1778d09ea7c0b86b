"""One conversation on the clock of the graph: where in its recording the user and the assistant are heard.

Time zero is when the user's first sample was spoken (without a user: when the first reply came). While the user speaks
in real time the clock is the wall clock. A file captured as fast as it goes runs ahead of the wall clock: then media
time is the clock, a reply begins where the user has come to, and counts as heard as soon as it is complete.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from nodes.pcm import from_payload
from nodes.sink.heard import Stretch
from nodes.sink.playback import SOFT
from nodes.sink.reply import Reply
from nodes.sink.reply_audio import ReplyAudio
from nodes.sink.stereo import Channel, StereoFile
from nodes.sink.user_track import UserTrack

AHEAD_MS = 20  # what is told as heard before it is, as a sound card takes its blocks before it plays them
JITTER_NS = 50_000_000  # how far a sound card's time stamps may run ahead before media time counts as the clock


@dataclass(slots=True, eq=False)
class Placed:
    """A reply and where it lies in the recording."""

    reply: Reply
    audio: ReplyAudio
    spans: list[tuple[int, int]] = field(default_factory=list)  # position and length of each stretch without a gap
    interrupted: bool = False

    @property
    def end(self) -> int:
        """The position after its last sample, 0 where it has none."""
        return sum(self.spans[-1]) if self.spans else 0

    @property
    def samples(self) -> int:
        """How much of it lies there, in samples of the recording."""
        return sum(length for _, length in self.spans)

    def add(self, position: int, length: int) -> None:
        if self.spans and self.end == position:
            position, so_far = self.spans.pop()
            length += so_far
        self.spans.append((position, length))

    def move(self, at: int, by: int) -> None:
        """What lies behind a position comes so much later."""
        moved: list[tuple[int, int]] = []
        for position, length in self.spans:
            before = min(length, max(0, at - position))
            parts = (position, before), (max(position, at) + by, length - before)
            moved += [part for part in parts if part[1]]
        self.spans = moved

    def cut(self, at: int) -> None:
        self.interrupted = True
        self.spans = [(position, min(length, at - position)) for position, length in self.spans if position < at]


class Timeline:
    """Places what is heard in a recording. Positions are samples of the recording, times are monotonic.

    :raises NodeError: from every method, when the recording cannot be written.
    """

    def __init__(self, path: Path, sample_rate: int) -> None:
        self.recording = StereoFile(path, sample_rate)
        self._zero_ns: int | None = None
        self._user: UserTrack | None = None
        self._user_speaks = False  # the user's source has not ended
        self._assistant_end = 0
        self._open: list[Placed] = []  # replies not yet heard to their end
        self._ahead = AHEAD_MS * sample_rate // 1000
        self._told: int | None = None  # up to where it was told what is heard; None: nobody asks, or nothing is
        self._soft: tuple[int, int] | None = None  # where somebody began to speak, and where the reply has paused for that

    # ---------------------------------------------------------------- the clock

    def _position(self, at_ns: int) -> int:
        return round((at_ns - (self._zero_ns or 0)) * self.recording.sample_rate / 1e9)

    def _ns(self, samples: int) -> int:
        return round(samples * 1e9 / self.recording.sample_rate)

    def _clock(self, now_ns: int) -> int:
        return max(self._position(now_ns), self._user.end if self._user else 0)

    def _free(self, now_ns: int) -> int:
        """The first position that can still become another: what was told as heard is heard."""
        return max(self._clock(now_ns), self._told or 0)

    def _ahead_ns(self, now_ns: int) -> int:
        """By how much media time runs ahead of the wall clock."""
        return self._ns(self._clock(now_ns) - self._position(now_ns))

    def _live(self, now_ns: int) -> bool:
        """Somebody speaks and listens in real time, and could interrupt."""
        return self._user is not None and self._ahead_ns(now_ns) <= JITTER_NS

    def heard_ns(self, position: int, now_ns: int) -> int:
        """When a position is heard; as if media time had never run ahead of the wall clock."""
        return (self._zero_ns or 0) + self._ns(position) - self._ahead_ns(now_ns)

    # ---------------------------------------------------------------- the user

    def user(self, payload: bytes | memoryview, start: int, sample_rate: int, origin_ns: int, now_ns: int) -> None:
        """A frame of the user: its samples, the index of the first, their rate in Hz, and when the last was spoken."""
        samples = from_payload(payload)
        began_ns = origin_ns - round(len(samples) * 1e9 / sample_rate)
        if self._zero_ns is None:
            self._zero_ns = began_ns
        track = self._user
        if track is None or start < track.expected or sample_rate != track.sample_rate:  # a source begins
            self.user_ended()
            position = max(self._position(began_ns), track.written if track else 0, self.recording.settled)
            self._user = track = UserTrack(self.recording, position, start, sample_rate)
            self._user_speaks = True
        track.add(samples, start)
        self._settle(now_ns)

    def user_ended(self) -> None:
        """The user's source has ended."""
        if self._user is not None and self._user_speaks:
            self._user.close()
        self._user_speaks = False

    # ---------------------------------------------------------------- the assistant

    def assistant(self, reply: Reply, payload: bytes | memoryview, now_ns: int) -> int | None:
        """A frame of a reply. Returns when the reply's first audible sample is heard, if that is in this frame."""
        if self._zero_ns is None:
            self._zero_ns = now_ns
        placed = self._placed(reply)
        goes_on, silent_so_far = bool(placed.spans), placed.audio.audible_from is None
        samples = placed.audio.push(payload)
        reply.samples += len(payload) // 2
        end = self._assistant_end
        position = self._put(placed, samples, now_ns)
        if goes_on and len(samples):
            reply.waited(self._ns(position - end))
        if not silent_so_far or placed.audio.audible_from is None:
            return None
        return self.heard_ns(position + placed.audio.audible_from - (placed.audio.samples - len(samples)), now_ns)

    def complete(self, reply: Reply, now_ns: int) -> None:
        """Nothing more belongs to this reply."""
        placed = self._placed(reply)
        self._put(placed, placed.audio.finish(), now_ns)

    def _placed(self, reply: Reply) -> Placed:
        for placed in self._open:
            if placed.reply is reply:
                return placed
        rate = self.recording.sample_rate
        self._open.append(Placed(reply, ReplyAudio(reply.sample_rate or rate, rate)))
        return self._open[-1]

    def _put(self, placed: Placed, samples: NDArray[np.int16], now_ns: int) -> int:
        # Within a reply media time does not tear it apart: only the wall clock can leave a gap.
        # Nor can what comes while it pauses: that is heard behind the pause, without a gap.
        clock = self._heard_to(self._position(now_ns)) if placed.spans else self._clock(now_ns)
        told = self._heard_to(self._told or 0) if placed.spans else self._told or 0
        position = max(clock, self._assistant_end, told, self.recording.settled)
        if len(samples):
            self.recording.put(Channel.ASSISTANT, position, samples)
            placed.add(position, len(samples))
            self._assistant_end = position + len(samples)
        return position

    # ---------------------------------------------------------------- somebody speaks

    def step_back(self, now_ns: int, softly_ms: int) -> None:
        """What is heard now becomes soft, and after so long it pauses."""
        if self._soft is None and self._live(now_ns) and any(placed.end > self._clock(now_ns) for placed in self._open):
            at = max(self._free(now_ns), self.recording.settled)
            self._soft = at, at + round(softly_ms * self.recording.sample_rate / 1000)

    def go_on(self, now_ns: int) -> None:
        """Where it had paused, if it had: all that was to come comes later."""
        if self._soft is None:
            return
        (began, paused), self._soft = self._soft, None
        clock = self._free(now_ns)
        self.recording.soften(Channel.ASSISTANT, began, min(paused, clock), SOFT)
        if paused < clock and paused < self._assistant_end:
            rest = self.recording.take(Channel.ASSISTANT, paused, self._assistant_end)
            self.recording.put(Channel.ASSISTANT, clock, rest)
            for placed in self._open:
                placed.move(paused, clock - paused)
            self._assistant_end += clock - paused

    def _heard_to(self, clock: int) -> int:
        """Up to where replies have been heard at a position of the clock."""
        return clock if self._soft is None else min(clock, self._soft[1])

    # ---------------------------------------------------------------- what is being heard

    def tell(self, now_ns: int) -> None:
        """Somebody wants to know what is heard from now on, until nothing is."""
        if self._told is None:
            self._told = max(self._clock(now_ns) + self._ahead, self.recording.settled)

    def heard(self, session: str, now_ns: int) -> list[Stretch]:
        """What is heard since this was asked last, up to a little after now; that stays as it is."""
        if self._told is None:
            return []
        begin, self._told = self._told, max(self._told, self._clock(now_ns) + self._ahead)
        end = min(self._told, self._assistant_end)
        began, paused = self._soft or (end, end)
        found = []
        for at, until, share in ((begin, min(end, began), 1.0), (max(begin, began), min(end, paused), SOFT)):
            samples = self.recording.read(Channel.ASSISTANT, at, max(at, until))
            if samples.any():
                payload = (samples * share).astype("<i2").tobytes()
                found.append(Stretch(session, at, payload, self.heard_ns(at, now_ns)))
        if self._told >= self._assistant_end and self._soft is None:
            self._told = None
        return found

    @property
    def telling(self) -> bool:
        """`heard` has to be asked again."""
        return self._told is not None

    # ---------------------------------------------------------------- what was heard

    def finished(self, now_ns: int) -> list[Placed]:
        """The replies that by now were heard to their end, each told once."""
        clock = self._heard_to(self._clock(now_ns)) if self._live(now_ns) else self._assistant_end
        done = [placed for placed in self._open if placed.reply.complete and placed.end <= clock]
        self._open = [placed for placed in self._open if placed not in done]
        self._settle(now_ns)
        return done

    def interrupt(self, turn: int, revision: int, now_ns: int) -> list[Placed]:
        """Cut off the replies that are older than this turn and revision."""
        stale = [placed for placed in self._open if placed.reply.older_than(turn, revision)]
        clock = self._heard_to(self._free(now_ns))
        if stale and self._soft is not None:
            self.recording.soften(Channel.ASSISTANT, self._soft[0], clock, SOFT)
            self._soft = None
        for placed in stale:
            for position, length in placed.spans:
                self.recording.silence(Channel.ASSISTANT, max(clock, position), position + length)
            placed.cut(clock)
        self._open = [placed for placed in self._open if placed not in stale]
        if stale:
            self._assistant_end = max([min(self._assistant_end, clock), *(placed.end for placed in self._open)])
        return stale

    def close(self) -> list[Placed]:
        """The graph has ended: the recording is complete. Told are the replies that had not been told yet."""
        self._soft = None
        self.user_ended()
        self.recording.close()
        rest, self._open = self._open, []
        return rest

    def _settle(self, now_ns: int) -> None:
        until = self._user.written if self._user and self._user_speaks else self.recording.end
        if self._live(now_ns):
            until = min(until, self._position(now_ns))
        if self._soft is not None:
            until = min(until, self._soft[0])
        elif self._open:
            until = min(until, self._assistant_end)  # the open reply goes on there
        if self._told is not None:
            until = min(until, self._told)
        self.recording.settle(until)
