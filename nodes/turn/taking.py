"""Turn-taking: a pure machine of one session, speech events and judgements in, decisions out. It knows only media time.

    idle --speech--> speaking --pause--> pausing --speech--> speaking (revision + 1; what went ahead is withdrawn)
    pausing --the judge holds it complete, or the silence reaches the ceiling, or the speech is ended--> confirmed
    confirmed --speech, before the reply is heard--> speaking (revision + 1; the reply is withdrawn)
    confirmed --the reply is heard, or nobody tells us of that--> idle

While the reply is being heard speech is on trial (`nodes.turn.trial`): it may be a new turn that interrupts the reply, or none.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from enum import Enum, auto
from typing import Literal, TypeAlias

from nodes.speech_audio import samples
from nodes.turn.trial import ASK_FOR_WORDS_MS, NO_BARGE_IN, BargeInRules, Trial, Verdict
from nodes.vad.base import GAP_MS, SpeechEnded, SpeechPaused, SpeechStarted
from nodes.vad.segmenter import SpeechEvent

Reason: TypeAlias = Literal["judge", "ceiling", "end"]

REOPEN_MS = 4000  # of silence, after which a turn whose reply never came is over for good


@dataclass(frozen=True, slots=True)
class Rules:
    """When to ask, and when to stop asking."""

    ask_at_ms: tuple[int, ...]  # silences of a pause
    threshold: float  # probability from which the judge is believed
    max_silence_ms: int
    go_ahead_ms: int = 0  # silence of a pause after which what was said goes ahead; 0: not before the turn is confirmed
    barge_in: BargeInRules = NO_BARGE_IN
    told: bool = False  # we are told when a reply is heard
    confirm_from_ms: int = 0  # silence before which no turn is over, whatever the judge holds


@dataclass(frozen=True, slots=True)
class Ask:
    """The judge should look at what was said so far, and `judged` be told."""


@dataclass(frozen=True, slots=True)
class GoAhead:
    """What was said so far may be all: the others may begin with it, but nothing of that may be heard yet."""


@dataclass(frozen=True, slots=True)
class Withdraw:
    """Everything older than the turn and revision that it is now is stale."""

    reason: Literal["goes on", "barge-in", "failed"]


@dataclass(frozen=True, slots=True)
class Hold:
    """Speech while a reply is heard is on trial: the reply should pause until `Dismiss` or `Withdraw`."""


@dataclass(frozen=True, slots=True)
class Try:
    """The words of what was said so far should be found out, and `said` be told; nobody else may act on them."""


@dataclass(frozen=True, slots=True)
class Dismiss:
    """What was said while a reply is heard was no turn; the turn is again the one that is replied to."""

    spoken_ms: int = 0


@dataclass(frozen=True, slots=True)
class Pend:
    """The judge holds that the user will go on."""

    probability: float


@dataclass(frozen=True, slots=True)
class Confirm:
    """The turn is over; `probability` is what the judge said last in this pause, 0 if it was not asked."""

    probability: float
    reason: Reason
    went_ahead: bool = False  # the others have what was said already


Decision: TypeAlias = Ask | GoAhead | Withdraw | Hold | Try | Dismiss | Pend | Confirm


class _Phase(Enum):
    IDLE = auto()
    SPEAKING = auto()
    CONFIRMED = auto()  # and the reply is not heard yet


class TurnTaking:
    """A session's turns, one after the other. The attributes describe the turn that is open, or else the last one."""

    def __init__(self, rules: Rules) -> None:
        self._rules = rules
        self._phase = _Phase.IDLE
        self._asked_ms = 0  # the silence at which the judge was due last in this pause
        self._probability = 0.0
        self._believes = False  # the judge said yes in this pause
        self._went_ahead = False  # in this pause
        self._heard: int | None = None  # the turn whose reply is being heard
        self._trial: Trial | None = None  # of speech that may interrupt it
        self._verdict: Confirm | None = None  # of the turn that is on trial: it waits
        self._tried = (0, 0)  # the newest turn whose words were asked for, and what its next revision would be
        self.turn = 0  # counted from 1
        self.revision = 0
        self.withdrawn = 0  # how often something had gone ahead in vain in this turn
        self.begin = 0  # first sample worth keeping
        self.speech_end = 0  # first sample after the last speech
        self.silence_ms = 0

    @property
    def open(self) -> bool:
        """True while the user has the turn."""
        return self._phase is _Phase.SPEAKING

    def hear(self, event: SpeechEvent) -> list[Decision]:
        """Take in a speech event of the VAD."""
        return list(self._hear(event))

    def _hear(self, event: SpeechEvent) -> Iterator[Decision]:
        if isinstance(event, SpeechStarted):
            yield from self._started(event)
            return
        if not self.open:
            return
        self.speech_end, self.silence_ms = event.at, event.silence_ms
        if self._trial is not None and (event.silence_ms >= GAP_MS or isinstance(event, SpeechEnded)):
            self._trial.pauses(event.at)
            yield from self.heard_to(event.at + samples(event.silence_ms))
        if not self.open or self._verdict is not None:
            return
        yield from self._ask_for_words(event)
        if event.silence_ms >= self._rules.max_silence_ms:
            yield from self._confirm("ceiling")
        elif isinstance(event, SpeechEnded):
            yield from self._confirm("end")
        else:
            yield from self._paused(event)

    def heard_to(self, until: int) -> list[Decision]:
        """There is no other speech up to this sample than what was told of: it goes on, or the pause does."""
        return self._judge_trial(self._trial.heard_to(until)) if self._trial is not None else []

    def finish(self) -> list[Decision]:
        """Nothing more will come: what is on trial is decided."""
        return self._judge_trial(self._trial.by_length()) if self._trial is not None else []

    def said(self, turn: int, revision: int, meant: bool) -> list[Decision]:
        """Take in the answer to `Try`: whether there were words in it that are meant for us."""
        trial = self._trial
        if trial is None or turn != self.turn or revision not in trial.asked:
            return []
        if meant:
            return self._judge_trial(Verdict.INTERRUPTS)
        return self._judge_trial(Verdict.NOTHING if revision == self.revision else Verdict.OPEN)

    def judged(self, probability: float) -> list[Decision]:
        """Take in the answer to `Ask`. A yes may come early: it holds as soon as the pause is long enough."""
        self._probability = probability
        self._believes = probability >= self._rules.threshold
        if not self._believes:
            return [Pend(probability)]
        return list(self._confirm("judge")) if self.silence_ms >= self._rules.confirm_from_ms else []

    def reply_begins(self, turn: int, revision: int) -> bool:
        """The first sound of a reply has left. False where nobody was allowed to hear it yet."""
        if (turn, revision) == (self.turn, self.revision) and self._phase is not _Phase.IDLE:
            if self.open:
                return False
            self._phase = _Phase.IDLE
        self._heard = turn
        return True

    def reply_ends(self, turn: int) -> None:
        """A reply was heard, as far as it was."""
        if self._heard == turn:
            self._heard = None
        if self._phase is _Phase.CONFIRMED and turn == self.turn:
            self._phase = _Phase.IDLE

    @property
    def waits(self) -> bool:
        """True while the reply to the turn is awaited."""
        return self._phase is _Phase.CONFIRMED

    def fails(self, turn: int, revision: int) -> list[Decision]:
        """A turn has no reply, or no more of it. If it is the last one, it is over, and nobody works on it any more."""
        if (turn, revision) != (self.turn, self.revision) or self.open:
            return []
        self._phase, self._heard, self.revision = _Phase.IDLE, None, self.revision + 1
        return [Withdraw("failed")]

    def _started(self, event: SpeechStarted) -> Iterator[Decision]:
        reopens = self._phase is _Phase.CONFIRMED and event.at - self.speech_end <= samples(REOPEN_MS)
        stale = self._went_ahead or reopens
        self._asked_ms, self._probability, self._believes = 0, 0.0, False
        self._went_ahead, self._verdict = False, None
        if self.open or reopens:
            self._phase, self.revision = _Phase.SPEAKING, self.revision + 1
            if self._trial is not None:
                self._trial.goes_on(event.at)
                yield Hold()
            elif stale:
                self.withdrawn += 1
                yield Withdraw("goes on")
            return
        barge_in = self._rules.barge_in
        if self._heard is not None and barge_in.how == "off":
            yield Dismiss()
            return
        before = (self.turn, self.revision)
        self._phase, self.turn, self.withdrawn = _Phase.SPEAKING, self.turn + 1, 0
        self.revision = self._tried[1] if self._tried[0] == self.turn else 0
        self.begin = event.keep_from
        if self._heard is not None:
            self._trial = Trial(barge_in, before, event.at)
            if barge_in.how == "confirmed":
                yield Hold()
            yield from self.heard_to(event.at)

    def _judge_trial(self, verdict: Verdict) -> list[Decision]:
        if verdict is Verdict.OPEN:
            return []
        trial, waiting = self._trial, self._verdict
        assert trial is not None
        self._trial = self._verdict = None
        if verdict is Verdict.NOTHING:
            self._phase = _Phase.IDLE
            self.turn, self.revision = trial.before
            return [Dismiss(trial.spoken_ms)]
        self._heard = None
        decisions: list[Decision] = [Withdraw("barge-in")]
        if waiting is not None:
            self._phase = _Phase.CONFIRMED
            decisions.append(waiting)
        elif trial.pausing and self.revision in trial.asked and self._rules.go_ahead_ms:
            self._went_ahead = True
            decisions.append(GoAhead())
        return decisions

    def _ask_for_words(self, event: SpeechPaused | SpeechEnded) -> Iterator[Decision]:
        trial = self._trial
        if trial is None or trial.rules.how != "confirmed" or self.revision in trial.asked:
            return
        if isinstance(event, SpeechEnded) or event.silence_ms >= max(self._rules.go_ahead_ms, ASK_FOR_WORDS_MS):
            trial.asked.add(self.revision)
            self._tried = (self.turn, self.revision + 1)
            yield Try()

    def _paused(self, event: SpeechPaused) -> Iterator[Decision]:
        rules = self._rules
        if self._trial is None and rules.go_ahead_ms and event.silence_ms >= rules.go_ahead_ms and not self._went_ahead:
            self._went_ahead = True
            yield GoAhead()
        if self._believes and event.silence_ms >= rules.confirm_from_ms:
            yield from self._confirm("judge")
            return
        due = max((ms for ms in rules.ask_at_ms if ms <= event.silence_ms), default=0)
        if due > self._asked_ms:
            self._asked_ms = due
            yield Ask()

    def _confirm(self, reason: Reason) -> Iterator[Decision]:
        went_ahead, self._went_ahead = self._went_ahead, False
        confirm = Confirm(self._probability, reason, went_ahead)
        if self._trial is not None:
            self._verdict = confirm
            return
        self._phase = _Phase.CONFIRMED if self._rules.told else _Phase.IDLE
        yield confirm
