"""While it is not known whether the user interrupts a reply, it pauses; and it never pauses for ever."""

from __future__ import annotations

import pytest

from graph.message import Kind
from graph.testing import Harness
from nodes.kinds import AudioFrame
from nodes.sink.base import SinkNode
from nodes.tts.base import Spoken
from nodes.turn.base import Interrupt, TurnDismissed, TurnOnTrial
from nodes.vad.base import SpeechEnded, SpeechPaused, SpeechStarted, VoiceHeard, VoiceLost

VOICE, NONE = VoiceHeard(), VoiceLost()
STARTED, PAUSED, ENDED = SpeechStarted(0, 0), SpeechPaused(8000, 96), SpeechEnded(8000, 3000)
HOLD, DISMISSED, BARGE_IN = TurnOnTrial(), TurnDismissed(), Interrupt("barge-in")


class Pausing(SinkNode):
    """Tells only whether it pauses."""

    paused = frozenset[str]()

    def hear(self, message: object) -> list[None]:  # type: ignore[override]
        return []

    def cut(self, message: object) -> list[None]:  # type: ignore[override]
        return []

    def step_back(self, session: str) -> None:
        self.paused |= {session}

    def go_on(self, session: str) -> None:
        self.paused -= {session}


PORTS: dict[type[Kind], str] = {
    **dict.fromkeys((SpeechStarted, SpeechPaused, SpeechEnded), "speech"),
    **dict.fromkeys((TurnOnTrial, TurnDismissed), "turn"),
    **dict.fromkeys((VoiceHeard, VoiceLost), "voice"),
    Interrupt: "interrupt",
    AudioFrame: "audio",
    Spoken: "audio",
}
HISTORIES: dict[str, list[tuple[Kind, bool]]] = {
    "it pauses at the first voice, and goes on if it was none": [(VOICE, True), (NONE, False)],
    "voice that is speech": [(VOICE, True), (STARTED, True), (PAUSED, False)],
    "voice in the pause of a trial decides nothing": [(VOICE, True), (HOLD, True), (PAUSED, True), (VOICE, True), (NONE, True)],
    "without a trial it goes on in the pause": [(STARTED, True), (PAUSED, False)],
    "on trial it waits for what comes of it: nothing": [(STARTED, True), (HOLD, True), (PAUSED, True), (DISMISSED, False)],
    "on trial it waits for what comes of it: an interruption": [
        (STARTED, True),
        (HOLD, True),
        (PAUSED, True),
        (BARGE_IN, False),
    ],
    "the next one begins as the first did": [
        *[(STARTED, True), (HOLD, True), (DISMISSED, False), (PAUSED, False)],
        *[(STARTED, True), (PAUSED, False)],
    ],
    "who is told of a trial before the speech pauses, too": [(HOLD, True), (STARTED, True), (PAUSED, True), (DISMISSED, False)],
    "or after its pause": [(STARTED, True), (PAUSED, False), (HOLD, True), (DISMISSED, False)],
    "speech goes on in the trial": [
        (STARTED, True),
        (HOLD, True),
        (PAUSED, True),
        (STARTED, True),
        (PAUSED, True),
        (DISMISSED, False),
    ],
    "if nobody decides the trial is over with the speech": [
        (STARTED, True),
        (HOLD, True),
        (PAUSED, True),
        (ENDED, False),
        (PAUSED, False),
    ],
}


@pytest.mark.parametrize("history", HISTORIES.values(), ids=HISTORIES)
def test_history(history: list[tuple[Kind, bool]]) -> None:
    with Harness(Pausing, inputs={"turn"}) as sink:
        for body, paused in history:
            sink.feed(PORTS[type(body)], body, turn=2)
            assert ("default" in sink.node.paused) == paused, body


def test_of_two_sessions_each_pauses_for_itself() -> None:
    with Harness(Pausing, inputs={"turn"}) as sink:
        for session in ("ann", "bob"):
            sink.feed("speech", STARTED, session=session)
            sink.feed("turn", HOLD, turn=2, session=session)
        sink.feed("turn", DISMISSED, turn=1, session="ann")
        assert sink.node.paused == {"bob"}
