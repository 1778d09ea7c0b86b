"""Turn-taking through histories at random: nothing stays on trial, nothing stays open, every turn is told once and in order."""

from __future__ import annotations

from dataclasses import dataclass, field

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from nodes.speech_audio import samples
from nodes.turn.taking import Ask, Confirm, Decision, Dismiss, GoAhead, Hold, Rules, Try, TurnTaking, Withdraw
from nodes.turn.trial import BargeIn, BargeInRules
from nodes.vad.base import SpeechEnded, SpeechPaused, SpeechStarted

EVENTS = st.one_of(
    st.tuples(st.just("speaks"), st.integers(100, 2500)),  # ms
    st.tuples(st.just("is silent"), st.integers(100, 2800)),
    st.tuples(st.just("words"), st.booleans()),
    st.tuples(st.just("old words"), st.booleans()),
    st.tuples(st.just("reply begins"), st.none()),
    st.tuples(st.just("reply ends"), st.none()),
    st.tuples(st.just("fails"), st.none()),
    st.tuples(st.just("judge"), st.booleans()),
    st.tuples(st.just("question"), st.none()),
)


@dataclass
class World:
    """A VAD, a judge, a transcriber and a sink that behave as they may."""

    taking: TurnTaking
    now: int = 0
    silence: int = 0
    speaks: bool = False
    believes: bool = False
    asked_for_words: list[tuple[int, int]] = field(default_factory=list)
    ahead: list[tuple[int, int]] = field(default_factory=list)
    confirmed: list[tuple[int, int]] = field(default_factory=list)
    held: bool = False

    def happens(self, what: str, value: int | bool | None) -> None:
        taking = self.taking
        if what == "speaks":
            at = self.now
            self.speaks, self.silence = True, 0
            self.decide(taking.hear(SpeechStarted(at, at)))
            for _ in range(int(value or 0) // 32):
                self.now += samples(32)
                self.decide(taking.heard_to(self.now))
        elif what == "question":  # and its reply is heard
            for part in (("speaks", 600), ("is silent", 2200), ("words", True), ("is silent", 2200), ("reply begins", None)):
                self.happens(*part)
        elif what == "is silent":
            for _ in range(int(value or 0) // 32):
                self.now += samples(32)
                self.silence += 32
                if self.speaks and self.silence >= 96:
                    ended = self.silence >= 3000
                    event = (SpeechEnded if ended else SpeechPaused)(self.now - samples(self.silence), self.silence)
                    self.speaks = not ended
                    self.decide(taking.hear(event))
                self.decide(taking.heard_to(self.now - samples(200)))
        elif what in ("words", "old words") and self.asked_for_words:
            turn, revision = self.asked_for_words[-1 if what == "words" else 0]
            self.decide(taking.said(turn, revision, bool(value)))
        elif what == "reply begins" and self.confirmed:
            if self.confirmed[-1] == (taking.turn, taking.revision):
                assert taking.reply_begins(*self.confirmed[-1]) or taking.open
        elif what == "reply ends" and self.confirmed:
            taking.reply_ends(self.confirmed[-1][0])
        elif what == "fails" and self.confirmed:
            self.decide(taking.fails(*self.confirmed[-1]))
        elif what == "judge":
            self.believes = bool(value)

    def decide(self, decisions: list[Decision]) -> None:
        taking = self.taking
        for decision in decisions:
            place = taking.turn, taking.revision
            if isinstance(decision, Ask):
                self.decide(taking.judged(0.9 if self.believes else 0.1))
            elif isinstance(decision, Try):
                assert place not in self.asked_for_words + self.ahead + self.confirmed, "two things said have one place"
                self.asked_for_words.append(place)
            elif isinstance(decision, GoAhead):
                assert place not in self.ahead + self.confirmed
                self.ahead.append(place)
            elif isinstance(decision, Confirm):
                assert place not in self.confirmed
                assert decision.went_ahead == (place in self.ahead)
                assert not self.confirmed or self.confirmed[-1] < place
                assert decision.reason != "judge" or taking.silence_ms >= 400
                self.confirmed.append(place)
            elif isinstance(decision, Hold):
                self.held = True
            elif isinstance(decision, Dismiss | Withdraw):
                self.held = False


@pytest.mark.parametrize("how", ["off", "immediate", "confirmed"])
@settings(max_examples=150, deadline=None)
@given(events=st.lists(EVENTS, max_size=25), go_ahead_ms=st.sampled_from([0, 200]))
def test_nothing_stays_open(how: BargeIn, events: list[tuple[str, int | bool | None]], go_ahead_ms: int) -> None:
    barge_in = BargeInRules(how, min_speech_ms=400, long_speech_ms=1500, words_within_ms=1500)
    world = World(TurnTaking(Rules((250, 400, 700), 0.5, 2000, go_ahead_ms, barge_in, told=True, confirm_from_ms=400)))
    for what, value in [("question", None), *events, ("is silent", 6000)]:
        world.happens(what, value)
    assert not world.taking.open
    assert not world.held, "the reply goes on, or was interrupted"
    world.happens("reply ends", None)
    before = len(world.confirmed)
    world.happens("question", None)
    assert len(world.confirmed) > before, "the next turn is taken"
    turns = sorted({turn for turn, _ in world.confirmed})
    assert turns == list(range(1, len(turns) + 1)), "turns are counted without a gap"
