"""A voice that is told of turns (`turn`) speaks nothing before its turn is confirmed."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import numpy as np
import pytest

from graph.message import Kind
from graph.testing import Harness, Sent
from nodes.kinds import AudioFrame, Text
from nodes.llm.base import Token
from nodes.marks import FIRST_CLAUSE
from nodes.tts.base import Sentence, Spoken
from nodes.tts.pcm import Samples
from nodes.tts.speech import SpeechNode
from nodes.turn.base import Interrupt, TurnConfirmed, TurnDismissed, TurnFailed, TurnPending

CONFIRMED = TurnConfirmed(0.9, 400, "judge")


class Beep:
    sample_rate = 16_000
    language = "en"

    def __init__(self) -> None:
        self.said: list[str] = []

    def synthesise(self, text: str) -> Iterator[Samples]:
        self.said.append(text)
        yield np.full(1600, 0.5, np.float32)

    def abort(self) -> None:
        """It is quick."""


class Beeper(SpeechNode):
    voice: Beep

    def load(self) -> Beep:
        return Beep()


def beeper(**how: Any) -> Harness[Beeper]:
    made = Harness(Beeper, inputs={"turn"}, **how)
    made.node.voice.said.clear()
    return made


@pytest.fixture
def voice() -> Iterator[Harness[Beeper]]:
    with beeper() as made:
        yield made


def spoken(sent: list[Sent]) -> list[str]:
    """What was said, clause by clause; the end of a reply is an empty one."""
    assert any(isinstance(one.body, AudioFrame) for one in sent) == any(
        isinstance(one.body, Spoken) and one.body.text for one in sent
    )
    return [one.body.text for one in sent if isinstance(one.body, Spoken)]


def reply(voice: Harness[Beeper], *pieces: str, **header: Any) -> list[str]:
    sent = []
    for index, piece in enumerate(pieces):
        sent += voice.feed("text", Token(piece, index, last=index == len(pieces) - 1), **{"turn": 1, **header})
    return spoken(sent)


def told(voice: Harness[Beeper], news: Kind = CONFIRMED, **header: Any) -> list[str]:
    return spoken(voice.feed("turn", news, **{"turn": 1, **header}))


def test_a_reply_waits_for_its_turn(voice: Harness[Beeper]) -> None:
    assert reply(voice, "It is. ", "Or is it", " not?") == []
    assert told(voice, TurnPending(0.2, 400)) == []
    assert (voice.node.voice.said, voice.marks, voice.node.in_turn()) == ([], [], ["default"])
    sent = voice.feed("turn", CONFIRMED, turn=1)
    assert spoken(sent) == ["It is.", "Or is it not?", ""]
    starts = [one.body.start for one in sent if isinstance(one.body, AudioFrame)]
    assert starts == [480 * n for n in range(len(starts))]
    assert [(one.mark.name, one.mark.fields["text"]) for one in voice.marks] == [(FIRST_CLAUSE, "It is.")]
    assert voice.node.in_turn() == []


def test_what_is_written_after_the_turn_was_confirmed_is_spoken_as_it_comes(voice: Harness[Beeper]) -> None:
    voice.feed("text", Token("It"), turn=1)
    assert told(voice) == []
    assert reply(voice, " is. ", "Bye.") == ["It is.", "Bye.", ""]


@pytest.mark.parametrize("body", [Sentence("No.", last=True), Text("No.")])
def test_sentences_and_texts_wait_as_well(voice: Harness[Beeper], body: Kind) -> None:
    assert voice.feed("text", body, turn=1) == []
    assert told(voice) == ["No.", ""]


def test_what_was_withdrawn_is_never_spoken(voice: Harness[Beeper]) -> None:
    reply(voice, "The largest is.")
    voice.feed("interrupt", Interrupt("goes on"), turn=1, revision=1)
    reply(voice, "The smallest is.", revision=1)
    assert told(voice, revision=1) == ["The smallest is.", ""]
    assert voice.node.voice.said == ["The smallest is."]


def test_what_was_dismissed_is_never_spoken(voice: Harness[Beeper]) -> None:
    reply(voice, "Pardon?", turn=2)
    assert told(voice, TurnDismissed()) == []
    assert told(voice, turn=2) == []


def test_an_announcement_and_an_apology_are_spoken(voice: Harness[Beeper]) -> None:
    assert spoken(voice.feed("text", Text("Time is up."), turn=0)) == ["Time is up.", ""]
    assert voice.feed("text", Text("Sorry."), turn=1, revision=1) == []
    assert told(voice, TurnFailed("no"), revision=1) == ["Sorry.", ""]


def test_sessions_wait_for_their_own_turns(voice: Harness[Beeper]) -> None:
    reply(voice, "Hello Ann.", session="ann")
    reply(voice, "Hello Bob.", session="bob")
    assert told(voice, session="bob") == ["Hello Bob.", ""]
    assert told(voice, session="ann") == ["Hello Ann.", ""]


def test_started_again_it_speaks_what_was_asked_before(voice: Harness[Beeper]) -> None:
    with beeper(clock_ns=1000) as next_life:
        assert reply(next_life, "Here I am.", turn=4, origin_ns=500) == ["Here I am.", ""]
        assert reply(next_life, "Not yet.", turn=5, origin_ns=1500) == []


def test_a_successor_knows_what_was_confirmed(voice: Harness[Beeper]) -> None:
    told(voice)
    with beeper() as successor:
        successor.node.restore(voice.node.snapshot())
        assert reply(successor, "Here I am.") == ["Here I am.", ""]
        assert reply(successor, "Not yet.", turn=2) == []
