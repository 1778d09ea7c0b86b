"""Turn-taking: a pure machine of one session, speech events and judgements in, decisions out. It knows only media time.

idle --speech--> speaking --pause--> pausing --speech--> speaking (revision + 1)
pausing --the judge holds it complete, or the silence reaches the ceiling, or the audio ends--> idle (turn + 1)
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal, TypeAlias

from nodes.vad.base import SpeechEnded, SpeechPaused, SpeechStarted
from nodes.vad.segmenter import SpeechEvent

Reason: TypeAlias = Literal["judge", "ceiling", "end"]


@dataclass(frozen=True, slots=True)
class Ask:
    """The judge should look at what was said so far."""

    silence_ms: int


@dataclass(frozen=True, slots=True)
class Confirm:
    """The turn is over."""

    reason: Reason
    silence_ms: int


Decision: TypeAlias = Ask | Confirm | None


class TurnTaking:
    """The state of one session's turn. `begin` and `speech_end` are sample indexes of the open turn."""

    def __init__(self, ask_at_ms: tuple[int, ...], max_silence_ms: int) -> None:
        self._ask_at_ms = ask_at_ms
        self._max_silence_ms = max_silence_ms
        self._asked_ms = 0  # the silence at which the judge was asked last in this pause
        self.turn = 0  # number of the newest turn, counted from 1
        self.revision = 0
        self.begin: int | None = None  # None: no turn is open
        self.speech_end = 0

    def hear(self, event: SpeechEvent) -> Decision:
        """Take in a speech event of the VAD."""
        if isinstance(event, SpeechStarted):
            self._started(event)
            return None
        if self.begin is None:
            return None
        self.speech_end = event.at
        if isinstance(event, SpeechEnded):
            return Confirm("ceiling" if event.silence_ms >= self._max_silence_ms else "end", event.silence_ms)
        return self._paused(event)

    def confirmed(self) -> None:
        """The decision was carried out: the next speech opens the next turn."""
        self.begin = None

    def _started(self, event: SpeechStarted) -> None:
        self._asked_ms = 0
        if self.begin is None:
            self.turn += 1
            self.revision = 0
            self.begin = event.keep_from
        else:
            self.revision += 1

    def _paused(self, event: SpeechPaused) -> Decision:
        if event.silence_ms >= self._max_silence_ms:
            return Confirm("ceiling", event.silence_ms)
        due = max((ms for ms in self._ask_at_ms if ms <= event.silence_ms), default=0)
        if due <= self._asked_ms:
            return None
        self._asked_ms = due
        return Ask(event.silence_ms)
