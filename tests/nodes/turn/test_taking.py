"""Turn-taking as histories: speech events and the judge's answers in, decisions out."""

from __future__ import annotations

import pytest

from nodes.turn.taking import Ask, Confirm, Pend, Rules, TurnTaking
from nodes.vad.base import SpeechEnded, SpeechPaused, SpeechStarted
from nodes.vad.segmenter import SpeechEvent

RULES = Rules(ask_at_ms=(200, 400, 800), threshold=0.5, max_silence_ms=2000)

START = SpeechStarted(1000, 900)
GO_ON = SpeechStarted(5000, 4900)


def pause(silence_ms: int, at: int = 3000) -> SpeechPaused:
    return SpeechPaused(at, silence_ms)


History = list[tuple[SpeechEvent | float, Ask | Pend | Confirm | None]]

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


@pytest.mark.parametrize("history", HISTORIES.values(), ids=HISTORIES)
def test_history(history: History) -> None:
    taking = TurnTaking(RULES)
    for heard, decision in history:
        assert (taking.judged(heard) if isinstance(heard, float) else taking.hear(heard)) == decision, heard


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
