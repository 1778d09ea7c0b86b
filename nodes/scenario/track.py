"""What one user does, frame by frame: a pure machine. It is told what the assistant does, and of no clock but its own frames'.

Where a reply is waited for, media time goes on in real time; at a faster pace it stands still after some silence, for
otherwise nobody knows how much of it passes.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Iterable, Iterator
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from graph.scenarios.steps import When
from nodes.scenario.base import Cue
from nodes.scenario.sounds import Sound
from nodes.speech_audio import SAMPLE_RATE_HZ

STILL_AFTER_S = 4.0  # of silence at a faster pace: turns are confirmed by then, and too old to be taken up again


@dataclass(frozen=True, slots=True)
class Part:
    """A step with its sound; a step without sound is an order."""

    step: int
    sound: Sound
    speech: bool = False  # somebody speaks
    when: When | None = None


@dataclass(frozen=True, slots=True)
class Habits:
    """How the user listens. All in seconds."""

    listen: float  # without anything happening, until all is over
    patience: float  # for what a step waits for, and for a reply to a turn
    realtime: bool = True


class Track:
    """One session's user. Positions count samples."""

    def __init__(self, parts: Iterable[Part], habits: Habits, room: Sound) -> None:
        """:param room: a while of the noise of the room, which is repeated."""
        self.over = False
        self._parts = deque(parts)
        self._habits = habits
        self._room = room
        self._at = 0  # the first sample of the next frame
        self._sound: Sound = room[:0]  # what is left of the sound that is heard now
        self._spoken_to = 0
        self._quiet_from = 0  # where something has happened last
        self._waits_from: tuple[int, int] | None = None  # where and when (ns) the next part was first due to wait
        self._reply_from: int | None = None  # where the reply has begun that is being heard
        self._held = False  # it is silent until it is known whether it was interrupted
        self._reply_to = -1  # where a reply has ended last
        self._confirmed_at = -1
        self._open: set[tuple[int, int]] = set()  # the turn and revision that is confirmed and not answered yet
        self._ended: set[tuple[int, int]] = set()

    @property
    def position(self) -> int:
        """The first sample of the next frame."""
        return self._at

    def reply_begins(self) -> None:
        """The first sound of a reply is heard."""
        self._reply_from = self._quiet_from = self._at

    def reply_is_held(self, held: bool) -> None:
        """It pauses, or goes on: nothing is said into the pause."""
        self._held = held

    def reply_ends(self, turn: int, revision: int) -> None:
        """The last one, as far as it was."""
        self._held = False
        self._ended.add((turn, revision))
        self._reply_from, self._reply_to = None, self._at
        self._happens()
        self._open.clear()

    def confirmed(self, turn: int, revision: int) -> None:
        """A turn was held to be over. Who hears the sink before the turn node hears its reply end first, if that is empty."""
        self._confirmed_at = self._at
        self._happens()
        self._open = {(turn, revision)} - self._ended  # an earlier one is never answered

    def frame(self, samples: int, now_ns: int) -> Iterator[Cue | NDArray[np.int16]]:
        """What happens within the next frame: cues, then the frame; none where media time stands still."""
        while not len(self._sound) and self._parts and self._due(self._parts[0], now_ns):
            part = self._parts.popleft()
            self._waits_from = None
            if not len(part.sound):
                yield Cue("order", part.step)
            self._sound = part.sound
            if part.speech:
                self._spoken_to = self._at + len(part.sound)
        if self._impatient(now_ns):
            yield Cue("gave_up", self._parts[0].step)
            self._parts.clear()
        heard = len(self._sound) > 0
        if not (heard or self._parts or self.over) and self._done(now_ns):
            self.over = True
            yield Cue("over")
        if not self._still():
            yield self._next(samples)
        if heard:
            self._happens()

    def _next(self, samples: int) -> NDArray[np.int16]:
        frame: NDArray[np.int16] = np.take(self._room, np.arange(self._at, self._at + samples), mode="wrap")
        heard = self._sound[:samples]
        frame[: len(heard)] = heard
        self._sound = self._sound[samples:]
        self._at += samples
        return frame

    def _due(self, part: Part, now_ns: int) -> bool:
        when = part.when
        if when is None:
            return True
        if self._waits_from is None:
            self._waits_from = self._at, now_ns
        if when.into_reply is not None:
            heard = self._reply_from is not None and not self._held
            return heard and self._since(self._reply_from or 0) >= when.into_reply
        if when.after_reply is not None:
            return self._reply_to >= self._spoken_to and self._since(self._reply_to) >= when.after_reply
        confirmed = self._confirmed_at >= self._spoken_to
        return confirmed and self._since(self._confirmed_at) >= (when.after_confirmed or 0)

    def _impatient(self, now_ns: int) -> bool:
        if not self._parts or self._waits_from is None or len(self._sound) or self._reply_from is not None:
            return False
        return self._waited_s(self._waits_from, now_ns) > self._habits.patience

    def _done(self, now_ns: int) -> bool:
        if self._reply_from is not None:
            return False
        if self._waits_from is None:
            self._waits_from = self._at, now_ns
        quiet = self._since(self._quiet_from) >= self._habits.listen
        return quiet and (not self._open or self._waited_s(self._waits_from, now_ns) > self._habits.patience)

    def _still(self) -> bool:
        """At a faster pace: enough was sent, and nothing may follow before something has happened."""
        waits = not len(self._sound) and (self.over or self._waits_from is not None)
        return not self._habits.realtime and waits and self._since(self._quiet_from) >= STILL_AFTER_S

    def _happens(self) -> None:
        self._quiet_from = self._at

    def _since(self, position: int) -> float:
        return (self._at - position) / SAMPLE_RATE_HZ

    def _waited_s(self, since: tuple[int, int], now_ns: int) -> float:
        return (now_ns - since[1]) / 1e9 if not self._habits.realtime else self._since(since[0])
