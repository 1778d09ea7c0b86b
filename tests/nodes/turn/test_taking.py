"""Turn-taking as histories: speech events and the judge's answers in, decisions out."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import pytest

from nodes.turn.taking import Ask, Confirm, Decision, Dismiss, GoAhead, Hold, Pend, Rules, Try, TurnTaking, Withdraw
from nodes.turn.trial import BargeInRules
from nodes.vad.base import SpeechEnded, SpeechPaused, SpeechStarted
from nodes.vad.segmenter import SpeechEvent

RULES = Rules(ask_at_ms=(200, 400, 800), threshold=0.5, max_silence_ms=2000)

START = SpeechStarted(1000, 900)
GO_ON = SpeechStarted(5000, 4900)


def pause(silence_ms: int, at: int = 3000) -> SpeechPaused:
    return SpeechPaused(at, silence_ms)


EAGER = Rules((400,), 0.5, 2000, go_ahead_ms=200, barge_in=BargeInRules("immediate", min_speech_ms=300), told=True)
AGAIN = SpeechStarted(20_000, 19_000)


@dataclass(frozen=True)
class Reply:
    """What the sink tells of a reply."""

    begins: bool
    turn: int = 1
    revision: int = 0


@dataclass(frozen=True)
class Said:
    """What the transcriber understood: words that are meant for us, or none."""

    meant: bool
    revision: int = 0
    turn: int = 2


Event = (
    SpeechEvent | float | int | Reply | Said | None
)  # 0.7: what the judge holds; 5000: nothing new up to this sample; None: the end
History = list[tuple[Event, Decision | bool | list[Decision] | None]]

HISTORIES: dict[str, History] = {
    "a pause too short to ask about": [(START, None), (pause(96), None), (pause(192), None)],
    "asked once at each of the silences": [
        (START, None),
        (pause(224), Ask()),
        (0.1, Pend(0.1)),
        (pause(256), None),
        (pause(416), Ask()),
        (0.2, Pend(0.2)),
        (pause(448), None),
        (pause(800), Ask()),
        (0.3, Pend(0.3)),
        (pause(1600), None),
    ],
    "asked anew in each pause": [
        (START, None),
        (pause(224), Ask()),
        (0.1, Pend(0.1)),
        (GO_ON, None),
        (pause(224, 7000), Ask()),
        (0.9, Confirm(0.9, "judge")),
    ],
    "silences that went by together are one question": [
        (START, None),
        (pause(900), Ask()),
        (0.4, Pend(0.4)),
        (pause(932), None),
    ],
    "the threshold itself is enough": [(START, None), (pause(224), Ask()), (0.5, Confirm(0.5, "judge"))],
    "what was confirmed is over": [
        (START, None),
        (pause(224), Ask()),
        (0.9, Confirm(0.9, "judge")),
        (pause(416), None),
        (pause(2000), None),
        (SpeechEnded(3000, 3000), None),
    ],
    "the ceiling ends the turn": [(START, None), (pause(224), Ask()), (0.3, Pend(0.3)), (pause(2000), Confirm(0.3, "ceiling"))],
    "what the judge said in an earlier pause is forgotten": [
        (START, None),
        (pause(224), Ask()),
        (0.3, Pend(0.3)),
        (GO_ON, None),
        (SpeechEnded(7000, 40), Confirm(0.0, "end")),
    ],
    "the end of the audio ends the turn": [(START, None), (SpeechEnded(3000, 40), Confirm(0.0, "end"))],
    "speech that ended long ago is a ceiling": [(START, None), (SpeechEnded(3000, 3000), Confirm(0.0, "ceiling"))],
    "without speech there is nothing to decide": [(pause(500), None), (SpeechEnded(3000, 3000), None)],
}


PATIENT = Rules(ask_at_ms=(200, 300, 600), threshold=0.5, max_silence_ms=2000, confirm_from_ms=400)
PATIENT_HISTORIES: dict[str, History] = {
    "an early yes holds once the pause is long enough": [
        (START, None),
        (pause(224), Ask()),
        (0.9, None),
        (pause(320), Ask()),
        (0.8, None),
        (pause(384), None),
        (pause(416), Confirm(0.8, "judge")),
    ],
    "a later no takes it back": [
        (START, None),
        (pause(224), Ask()),
        (0.9, None),
        (pause(320), Ask()),
        (0.1, Pend(0.1)),
        (pause(416), None),
        (pause(608), Ask()),
        (0.9, Confirm(0.9, "judge")),
    ],
    "who goes on is not bound by it": [
        (START, None),
        (pause(224), Ask()),
        (0.9, None),
        (GO_ON, None),
        (pause(96, 7000), None),
        (pause(320, 7000), Ask()),
        (0.1, Pend(0.1)),
        (pause(416, 7000), None),
    ],
    "a yes that comes late holds at once": [(START, None), (pause(448), Ask()), (0.9, Confirm(0.9, "judge"))],
}


GO = GoAhead()
EAGER_HISTORIES: dict[str, History] = {
    "what was said goes ahead, and is confirmed": [
        (START, None),
        (pause(96), None),
        (pause(224), GO),
        (pause(256), None),
        (pause(416), Ask()),
        (0.9, Confirm(0.9, "judge", went_ahead=True)),
        (Reply(True), True),
        (Reply(False), None),
        (AGAIN, None),
        (pause(224, 24_000), GO),
    ],
    "who goes on withdraws what went ahead": [
        (START, None),
        (pause(224), GO),
        (GO_ON, Withdraw("goes on")),
        (pause(96, 7000), None),
        (SpeechStarted(8000, 7900), None),
        (pause(224, 9000), GO),
        (pause(416, 9000), Ask()),
        (0.9, Confirm(0.9, "judge", went_ahead=True)),
    ],
    "a turn is not over before its reply is heard": [
        (START, None),
        (pause(224), GO),
        (pause(416), Ask()),
        (0.9, Confirm(0.9, "judge", went_ahead=True)),
        (GO_ON, Withdraw("goes on")),
        (pause(224, 7000), GO),
        (pause(416, 7000), Ask()),
        (0.9, Confirm(0.9, "judge", went_ahead=True)),
        (Reply(True, 1, 1), True),
        (AGAIN, None),
        (25_000, Withdraw("barge-in")),
    ],
    "but it is when the reply takes for ever": [
        (START, None),
        (SpeechEnded(3000, 1500), Confirm(0.0, "end")),
        (SpeechStarted(3000 + 5 * 16_000, 3000 + 5 * 16_000), None),
        (pause(224, 90_000), GO),
    ],
    "both at once": [(START, None), (pause(416), [GO, Ask()]), (0.9, Confirm(0.9, "judge", went_ahead=True))],
    "a cough interrupts nothing, and is no turn": [
        (START, None),
        (SpeechEnded(3000, 1500), Confirm(0.0, "end")),
        (Reply(True), True),
        (AGAIN, None),
        (22_000, None),
        (pause(96, 23_200), Dismiss(200)),
        (pause(416, 23_200), None),
        (SpeechStarted(40_000, 39_000), None),
        (45_000, Withdraw("barge-in")),
        (46_000, None),
        (pause(224, 47_000), GO),
        (pause(416, 47_000), Ask()),
        (0.9, Confirm(0.9, "judge", went_ahead=True)),
        (Reply(True, 2, 0), True),
    ],
    "the pause tells that it was long enough": [
        (START, None),
        (SpeechEnded(3000, 1500), Confirm(0.0, "end")),
        (Reply(True), True),
        (AGAIN, None),
        (pause(224, 26_000), [Withdraw("barge-in"), GO]),
    ],
    "after the reply it is a turn, however short": [
        (START, None),
        (SpeechEnded(3000, 1500), Confirm(0.0, "end")),
        (Reply(True), True),
        (Reply(False), None),
        (AGAIN, None),
        (pause(224, 21_000), GO),
    ],
    "a reply that came to nothing ends the turn, too": [
        (START, None),
        (SpeechEnded(3000, 1500), Confirm(0.0, "end")),
        (Reply(False), None),
        (SpeechStarted(30_000, 29_900), None),
        (pause(224, 34_000), GO),
    ],
    "a sink that does not wait is found out": [(START, None), (pause(224), GO), (Reply(True), False)],
    "a reply to what was withdrawn is none of this turn's": [
        (START, None),
        (pause(224), GO),
        (GO_ON, Withdraw("goes on")),
        (Reply(True, 1, 0), True),
        (pause(224, 7000), GO),
    ],
}


WORDS = BargeInRules("confirmed", min_speech_ms=300, long_speech_ms=1000, words_within_ms=1500)
CONFIRMED = Rules((400,), 0.5, 2000, go_ahead_ms=200, barge_in=WORDS, told=True)
REPLIED: History = [(START, None), (SpeechEnded(3000, 1500), Confirm(0.0, "end")), (Reply(True), True)]
BARGE_IN = Withdraw("barge-in")
LATER = SpeechStarted(60_000, 59_000)
TRIED: History = [(AGAIN, Hold()), (pause(96, 26_400), None), (pause(224, 26_400), Try())]  # after 400 ms of speech
WORD_HISTORIES: dict[str, History] = {
    "an mm-hm is no turn, and the next one has a revision that nobody can take for it": [
        *TRIED,
        (Said(False), Dismiss(400)),
        (pause(416, 26_400), None),
        (SpeechEnded(26_400, 3000), None),
        (LATER, Hold()),
        (pause(224, 64_000), Try()),
        (Said(True, 0), None),
        (Said(True, 1), [BARGE_IN, GO]),
        (pause(416, 64_000), Ask()),
        (0.9, Confirm(0.9, "judge", went_ahead=True)),
        (Reply(True, 2, 1), True),
    ],
    "words interrupt, and go ahead": [
        *TRIED,
        (Said(True), [BARGE_IN, GO]),
        (pause(256, 26_400), None),
        (SpeechStarted(32_000, 31_000), Withdraw("goes on")),
        (pause(224, 40_000), GO),
    ],
    "what the judge held meanwhile is not asked again": [
        *TRIED,
        (pause(416, 26_400), Ask()),
        (0.9, []),
        (pause(800, 26_400), None),
        (Said(True), [BARGE_IN, Confirm(0.9, "judge")]),
        (Reply(True, 2, 0), True),
    ],
    "nor believed if it was an mm-hm": [*TRIED, (pause(416, 26_400), Ask()), (0.9, []), (Said(False), Dismiss(400))],
    "what the judge held is forgotten when speech goes on": [
        *TRIED,
        (pause(416, 26_400), Ask()),
        (0.9, []),
        (SpeechStarted(36_000, 35_000), Hold()),
        (Said(False, 0), []),
        (pause(224, 38_000), Try()),
        (Said(True, 1), [BARGE_IN, GO]),
    ],
    "words interrupt, though more are coming": [
        *TRIED,
        (SpeechStarted(32_000, 31_000), Hold()),
        (Said(True, 0), BARGE_IN),
        (pause(224, 40_000), GO),
    ],
    "long speech interrupts without its words": [
        (AGAIN, Hold()),
        (35_999, None),
        (36_000, BARGE_IN),
        (pause(224, 40_000), GO),
        (Said(True), []),
    ],
    "pauses do not make it long": [
        *TRIED,
        (SpeechStarted(50_000, 49_000), Hold()),
        (59_000, None),
        (59_600, BARGE_IN),
    ],
    "where the words never come its length decides: long enough": [*TRIED, (pause(1504, 26_400), [BARGE_IN, GO, Ask()])],
    "where the words never come its length decides: too short": [
        (AGAIN, Hold()),
        (pause(224, 22_400), Try()),
        (pause(1504, 22_400), Dismiss(150)),
        (Said(True), []),
        (LATER, Hold()),
    ],
    "also where the VAD tells no more": [
        (AGAIN, Hold()),
        (pause(224, 22_400), Try()),
        (SpeechEnded(22_400, 300), None),
        (46_000, None),
        (46_400, Dismiss(150)),
    ],
    "speech that ends at once has its words asked for, too": [
        (AGAIN, Hold()),
        (SpeechEnded(22_400, 0), Try()),
        (Said(True), [BARGE_IN, Confirm(0.0, "end")]),
    ],
    "what ends with the audio is decided by its length": [
        *TRIED,
        (SpeechEnded(26_400, 300), None),
        (None, [BARGE_IN, Confirm(0.0, "end")]),
        (None, []),
    ],
    "the reply ends while it is on trial: the words decide all the same": [
        *TRIED,
        (Reply(False), None),
        (Said(False), Dismiss(400)),
        (LATER, None),
        (pause(224, 64_000), GO),
    ],
    "words of another turn decide nothing": [
        *TRIED,
        (Said(True, 0, turn=1), []),
        (Said(True, 5), []),
        (Said(False), Dismiss(400)),
    ],
}
OFF_HISTORY: History = [
    (AGAIN, Dismiss()),
    (22_000, None),
    (pause(224, 40_000), None),
    (SpeechStarted(42_000, 41_000), Dismiss()),
    (Reply(False), None),
    (pause(224, 46_000), None),
    (LATER, None),
    (pause(224, 64_000), GO),
]


@pytest.mark.parametrize("history", HISTORIES.values(), ids=HISTORIES)
def test_history(history: History) -> None:
    check(RULES, history)


@pytest.mark.parametrize("history", PATIENT_HISTORIES.values(), ids=PATIENT_HISTORIES)
def test_a_history_with_early_questions(history: History) -> None:
    check(PATIENT, history)


@pytest.mark.parametrize("history", EAGER_HISTORIES.values(), ids=EAGER_HISTORIES)
def test_history_with_what_goes_ahead(history: History) -> None:
    check(EAGER, history)


@pytest.mark.parametrize("history", WORD_HISTORIES.values(), ids=WORD_HISTORIES)
def test_history_while_a_reply_is_heard_and_words_decide(history: History) -> None:
    check(CONFIRMED, REPLIED + history)


def test_speech_that_nothing_comes_of_while_a_reply_is_heard() -> None:
    check(Rules((400,), 0.5, 2000, go_ahead_ms=200, barge_in=BargeInRules("off"), told=True), REPLIED + OFF_HISTORY)


def test_where_nothing_goes_ahead_words_are_asked_for_all_the_same() -> None:
    rules = Rules((400,), 0.5, 2000, barge_in=WORDS, told=True)
    check(rules, [*REPLIED, *TRIED, (Said(True), BARGE_IN), (pause(416, 26_400), Ask()), (0.9, Confirm(0.9, "judge"))])


def test_no_reply_is_interrupted_sooner_than_at_once() -> None:
    at_once = Rules((400,), 0.5, 2000, go_ahead_ms=200, barge_in=BargeInRules("immediate"), told=True)
    check(at_once, [*REPLIED, (AGAIN, BARGE_IN), (pause(224, 22_000), GO)])


def test_a_turn_that_was_none_leaves_the_one_before_as_it_was() -> None:
    taking = TurnTaking(CONFIRMED)
    for event, _ in [*REPLIED, *TRIED]:
        happen(taking, event)
    assert (taking.turn, taking.revision, taking.open) == (2, 0, True)
    happen(taking, Said(False))
    assert (taking.turn, taking.revision, taking.open) == (1, 0, False)


def test_a_turn_fails_once_and_only_the_last_one() -> None:
    taking = TurnTaking(EAGER)
    taking.hear(START)
    assert taking.fails(1, 0) == [], "the user has the turn"
    taking.hear(SpeechEnded(3000, 1500))
    assert taking.waits
    assert taking.fails(1, 1) == []
    assert taking.fails(1, 0) == [Withdraw("failed")]
    assert (taking.waits, taking.turn, taking.revision) == (False, 1, 1)
    assert taking.fails(1, 0) == []
    assert taking.reply_begins(1, 1), "an apology may be heard, and interrupted"
    taking.hear(AGAIN)
    assert taking.heard_to(25_000) == [Withdraw("barge-in")]


def test_who_waits_for_a_reply_may_take_the_turn_up_again() -> None:
    taking = TurnTaking(EAGER)
    for event in (START, SpeechEnded(3000, 1500), GO_ON):
        taking.hear(event)
    assert not taking.waits


def check(rules: Rules, history: History) -> None:
    taking = TurnTaking(rules)
    for event, expected in history:
        decided = happen(taking, event)
        if isinstance(decided, list) and not isinstance(expected, list):
            decided = decided[0] if len(decided) == 1 else decided or None
        assert decided == expected, event


def happen(taking: TurnTaking, event: Event) -> Any:
    if isinstance(event, float):
        return taking.judged(event)
    if isinstance(event, int):
        return taking.heard_to(event)
    if isinstance(event, Said):
        return taking.said(event.turn, event.revision, event.meant)
    if event is None:
        return taking.finish()
    if isinstance(event, Reply):
        return taking.reply_begins(event.turn, event.revision) if event.begins else taking.reply_ends(event.turn)
    return taking.hear(event)


def test_turns_are_numbered_and_second_thoughts_counted() -> None:
    taking = TurnTaking(RULES)
    taking.hear(START)
    assert (taking.turn, taking.revision, taking.begin) == (1, 0, 900)
    taking.hear(pause(224))
    taking.judged(0.1)
    taking.hear(GO_ON)
    assert (taking.turn, taking.revision, taking.begin) == (1, 1, 900), "the same turn goes on from where it began"
    taking.hear(pause(224, at=7000))
    taking.judged(0.9)
    assert (taking.turn, taking.revision, taking.speech_end, taking.silence_ms) == (1, 1, 7000, 224)
    taking.hear(SpeechStarted(20_000, 19_000))
    assert (taking.turn, taking.revision, taking.begin) == (2, 0, 19_000)
