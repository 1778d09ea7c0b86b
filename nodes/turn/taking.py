"""Turn-taking: a pure machine of one session, speech events and judgements in, decisions out. It knows only media time.

idle --speech--> speaking --pause--> pausing --speech--> speaking (revision + 1)
pausing --the judge holds it complete, or the silence reaches the ceiling, or the speech is ended--> idle
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal, TypeAlias

from nodes.vad.base import SpeechEnded, SpeechPaused, SpeechStarted
from nodes.vad.segmenter import SpeechEvent

Reason: TypeAlias = Literal["judge", "ceiling", "end"]


@dataclass(frozen=True, slots=True)
class Rules:
    """When to ask, and when to stop asking."""

    ask_at_ms: tuple[int, ...]  # silences of a pause
    threshold: float  # probability from which the judge is believed
    max_silence_ms: int


@dataclass(frozen=True, slots=True)
class Ask:
    """The judge should look at what was said so far, and `judged` be told."""


@dataclass(frozen=True, slots=True)
class Pend:
    """The judge holds that the user will go on."""

    probability: float


@dataclass(frozen=True, slots=True)
class Confirm:
    """The turn is over; `probability` is what the judge said last in this pause, 0 if it was not asked."""

    probability: float
    reason: Reason


class TurnTaking:
    """A session's turns, one after the other. The attributes describe the turn that is open, or else the last one."""

    def __init__(self, rules: Rules) -> None:
        self._rules = rules
        self._open = False
        self._asked_ms = 0  # the silence at which the judge was due last in this pause
        self._probability = 0.0
        self.turn = 0  # counted from 1
        self.revision = 0
        self.begin = 0  # first sample worth keeping
        self.speech_end = 0  # first sample after the last speech
        self.silence_ms = 0

    @property
    def open(self) -> bool:
        """True while the user has the turn."""
        return self._open

    def hear(self, event: SpeechEvent) -> Ask | Confirm | None:
        """Take in a speech event of the VAD."""
        if isinstance(event, SpeechStarted):
            self._started(event)
            return None
        if not self._open:
            return None
        self.speech_end, self.silence_ms = event.at, event.silence_ms
        if event.silence_ms >= self._rules.max_silence_ms:
            return self._confirm("ceiling")
        return self._confirm("end") if isinstance(event, SpeechEnded) else self._paused(event)

    def judged(self, probability: float) -> Pend | Confirm:
        """Take in the answer to `Ask`."""
        self._probability = probability
        return self._confirm("judge") if probability >= self._rules.threshold else Pend(probability)

    def _started(self, event: SpeechStarted) -> None:
        self._asked_ms, self._probability = 0, 0.0
        if self._open:
            self.revision += 1
        else:
            self._open, self.turn, self.revision, self.begin = True, self.turn + 1, 0, event.keep_from

    def _paused(self, event: SpeechPaused) -> Ask | None:
        due = max((ms for ms in self._rules.ask_at_ms if ms <= event.silence_ms), default=0)
        if due <= self._asked_ms:
            return None
        self._asked_ms = due
        return Ask()

    def _confirm(self, reason: Reason) -> Confirm:
        self._open = False
        return Confirm(self._probability, reason)
