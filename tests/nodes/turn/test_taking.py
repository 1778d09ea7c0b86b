"""Turn-taking as histories of speech events and decisions."""

from __future__ import annotations

import pytest

from nodes.turn.taking import Ask, Confirm, Decision, TurnTaking
from nodes.vad.base import SpeechEnded, SpeechPaused, SpeechStarted
from nodes.vad.segmenter import SpeechEvent

START = SpeechStarted(1000, 900)
GO_ON = SpeechStarted(5000, 4900)


def pause(silence_ms: int, at: int = 3000) -> SpeechPaused:
    return SpeechPaused(at, silence_ms)


History = list[tuple[SpeechEvent, Decision]]

HISTORIES: dict[str, History] = {
    "a pause too short to ask about": [(START, None), (pause(96), None), (pause(192), None)],
    "asked once at each of the silences": [
        (START, None),
        (pause(224), Ask(224)),
        (pause(256), None),
        (pause(416), Ask(416)),
        (pause(448), None),
        (pause(800), Ask(800)),
        (pause(1600), None),
    ],
    "asked anew in each pause": [(START, None), (pause(224), Ask(224)), (GO_ON, None), (pause(224, 7000), Ask(224))],
    "silences that went by together are one question": [(START, None), (pause(900), Ask(900)), (pause(932), None)],
    "the ceiling ends the turn": [(START, None), (pause(224), Ask(224)), (pause(2000), Confirm("ceiling", 2000))],
    "the end of the audio ends the turn": [(START, None), (SpeechEnded(3000, 40), Confirm("end", 40))],
    "speech that ended long ago is a ceiling": [(START, None), (SpeechEnded(3000, 3000), Confirm("ceiling", 3000))],
    "without speech there is nothing to decide": [(pause(500), None), (SpeechEnded(3000, 3000), None)],
}


@pytest.mark.parametrize("history", HISTORIES.values(), ids=HISTORIES)
def test_history(history: History) -> None:
    taking = TurnTaking((200, 400, 800), 2000)
    for event, decision in history:
        assert taking.hear(event) == decision, event


def test_turns_are_numbered_and_second_thoughts_counted() -> None:
    taking = TurnTaking((200,), 2000)
    taking.hear(START)
    assert (taking.turn, taking.revision, taking.begin) == (1, 0, 900)
    taking.hear(pause(224))
    taking.hear(GO_ON)
    assert (taking.turn, taking.revision, taking.begin) == (1, 1, 900), "the same turn goes on from where it began"
    taking.confirmed()
    assert taking.hear(pause(400)) is None, "what follows a confirmed turn is nobody's pause"
    taking.hear(SpeechStarted(20_000, 19_000))
    assert (taking.turn, taking.revision, taking.begin) == (2, 0, 19_000)
