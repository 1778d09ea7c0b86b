"""Speech while a reply is heard: is it an interruption, or a cough and an "mm-hm"? Pure, in media time only.

`off`: it is nothing. `immediate`: its length decides. `confirmed`: its words do; while nobody knows them the reply pauses.
Long speech is an interruption without its words, and where they do not come the length decides.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from enum import Enum, auto
from typing import Literal, TypeAlias

from nodes.speech_audio import samples

BargeIn: TypeAlias = Literal["off", "immediate", "confirmed"]

ASK_FOR_WORDS_MS = 200  # of silence, before which they are not asked for: a short word with less behind it is misheard


@dataclass(frozen=True, slots=True)
class BargeInRules:
    """What interrupts a reply."""

    how: BargeIn = "off"
    min_speech_ms: int = 0  # that is an interruption where its words are not known
    long_speech_ms: int = 0  # that is one whatever its words are; where they decide
    words_within_ms: int = 0  # of silence after it; then its length decides


NO_BARGE_IN = BargeInRules()


class Verdict(Enum):
    """What came out of a trial."""

    OPEN = auto()
    INTERRUPTS = auto()
    NOTHING = auto()


@dataclass(slots=True)
class Trial:
    """One stretch of such speech, its pauses included; positions are samples."""

    rules: BargeInRules
    before: tuple[int, int]  # the turn and revision that it would interrupt
    _began: int | None  # of the speech that goes on; None in a pause
    _spoken: int = 0  # before that, without pauses
    _paused: int = 0  # the end of the last speech
    asked: set[int] = field(default_factory=set)  # the revisions whose words were asked for

    @property
    def pausing(self) -> bool:
        return self._began is None

    def goes_on(self, at: int) -> None:
        """Speech begins again, if it was not only a gap in it."""
        if self._began is None:
            self._began = at

    def pauses(self, at: int) -> None:
        """The last speech ended here; may be told again and again."""
        if self._began is not None:
            self._spoken += max(0, at - self._began)
            self._began = None
        self._paused = at

    def heard_to(self, until: int) -> Verdict:
        """There is no other speech up to this sample than what was told of."""
        rules = self.rules
        words_decide = rules.how == "confirmed"
        spoken = self._spoken if self._began is None else self._spoken + max(0, until - self._began)
        if spoken >= samples(rules.long_speech_ms if words_decide else rules.min_speech_ms):
            return Verdict.INTERRUPTS
        if self._began is None and (not words_decide or until - self._paused >= samples(rules.words_within_ms)):
            return self.by_length()
        return Verdict.OPEN

    def by_length(self) -> Verdict:
        """Nobody will tell the words."""
        return Verdict.INTERRUPTS if self._spoken >= samples(self.rules.min_speech_ms) else Verdict.NOTHING

    @property
    def spoken_ms(self) -> int:
        """How much was said up to the last pause."""
        return self._spoken * 1000 // samples(1000)
