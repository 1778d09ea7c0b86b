"""What was heard of the replies around each interruption: pure."""

from __future__ import annotations

import math
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from itertools import pairwise

from bench.bargein.script import DROPPED
from bench.bargein.sounds import Sound
from bench.square_wave import PAUSE_NS, Loudness, Stretch
from bench.voice.script import ASKED, Note
from nodes.marks import FIRST_AUDIO

NOTICED_NS = 1_000_000_000  # a gap that comes later has another cause
END_NS = 100_000_000  # a reply that is heard so shortly before the next sound goes on


@dataclass(frozen=True)
class Interruption:
    """A question into a reply; milliseconds after its first loud sample, None: it did not happen before the next sound."""

    ducked_ms: float | None  # the reply is no longer as loud as it was
    paused_ms: float | None  # nothing of it is heard
    last_ms: float | None  # its last audible sample, whatever came back in between
    dropped_ms: float | None  # the decision that it is over
    answered: bool  # the question was


@dataclass(frozen=True)
class FalseAlarm:
    """A sound into a reply that is no interruption."""

    sort: str
    noticed: bool  # the reply became softer, or paused
    lost: bool  # the reply was given up, or another took its place
    back_ms: float | None  # after the sound's last loud sample: as loud as before; None: never, or it never was softer


@dataclass(frozen=True)
class Session:
    """One arm's, the first question left out."""

    interruptions: list[Interruption]
    alarms: list[FalseAlarm]
    unheard: int  # sounds that met no reply: nothing can be said of them
    unanswered: int  # questions without an answer
    load: float  # of the machine over the minute before it
    others: float  # share of the machine's processor time that went to programs outside the session


def session(notes: Sequence[Note], heard: Sequence[Stretch], sounds: Sequence[Sound], load: float, others: float) -> Session:
    """What became of every sound after the first.

    :raises ValueError: not all sounds were said.
    """
    asked = [note["at_ns"] for note in notes if note["name"] == ASKED]
    if len(asked) != len(sounds):
        raise ValueError(f"{len(asked)} of {len(sounds)} sounds were said")
    dropped, begun = (_times(notes, name) for name in (DROPPED, FIRST_AUDIO))
    interruptions, alarms, unheard, unanswered = [], [], 0, 0
    for sound, (at_ns, next_ns) in list(zip(sounds, pairwise([*asked, math.inf]), strict=True))[1:]:
        around = _Around(heard, dropped, begun, (at_ns + sound.first_loud_ns, at_ns + sound.last_loud_ns), next_ns)
        unanswered += not sound.alarm and not around.answered
        if around.reply is None:
            unheard += 1
        elif sound.alarm:
            alarms.append(around.false_alarm(sound.sort))
        else:
            interruptions.append(around.interruption())
    return Session(interruptions, alarms, unheard, unanswered, load, others)


def _times(notes: Iterable[Note], name: str) -> list[int]:
    return sorted(note["at_ns"] for note in notes if note["name"] == name)


class _Around:
    """What is known of the time from a sound to the next one."""

    def __init__(
        self,
        heard: Sequence[Stretch],
        dropped: Sequence[int],
        begun: Sequence[int],
        loud: tuple[float, float],  # its first loud sample and its last
        next_ns: float,
    ) -> None:
        first_ns, last_ns = loud
        self._first_ns, self._last_ns, self._next_ns = first_ns, last_ns, next_ns
        self._dropped_ns = next((at for at in dropped if first_ns <= at < next_ns), None)
        self._another_ns = next((at for at in begun if first_ns < at < next_ns), None)  # reply than the one that was heard
        until_ns = next_ns if self._another_ns is None else self._another_ns
        self._stretches = [one for one in heard if one.end_ns > first_ns and one.begin_ns < until_ns]
        begins = self._stretches[0] if self._stretches else None
        full = begins is not None and begins.begin_ns <= first_ns and begins.loudness is Loudness.FULL
        self.reply = begins if full else None  # what was heard when the sound began

    @property
    def answered(self) -> bool:
        return self._another_ns is not None

    def interruption(self) -> Interruption:
        """Of a question."""
        ends = [one.end_ns for one in self._stretches]
        pauses = [one.end_ns for one, after in pairwise(self._stretches) if after.begin_ns - one.end_ns >= PAUSE_NS]
        return Interruption(
            self._ms(ends[0]), self._ms([*pauses, ends[-1]][0]), self._ms(ends[-1]), self._ms(self._dropped_ns), self.answered
        )

    def false_alarm(self, sort: str) -> FalseAlarm:
        """Of another sound."""
        reply, last = self._stretches[0], self._stretches[-1]
        goes_on = last.loudness is Loudness.FULL and last.end_ns >= self._next_ns - END_NS
        lost = self._dropped_ns is not None or self.answered or not goes_on
        noticed = reply.end_ns < self._first_ns + NOTICED_NS or lost
        again = next((one for one in self._stretches[1:] if one.loudness is Loudness.FULL), None)
        back_ms = None if lost or not noticed or again is None else (again.begin_ns - self._last_ns) / 1e6
        return FalseAlarm(sort, noticed, lost, back_ms)

    def _ms(self, at_ns: float | None) -> float | None:
        """After the first loud sample; None: not before the next sound."""
        return None if at_ns is None or at_ns >= self._next_ns else (at_ns - self._first_ns) / 1e6
