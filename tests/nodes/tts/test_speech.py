"""What all voices do alike, with an engine that hums: 10 ms a letter."""

from __future__ import annotations

import threading
from collections.abc import Iterator
from typing import Any

import numpy as np
import pytest

from graph.message import PROTOCOL, Cause, Header, Message
from graph.testing import Harness, Sent
from nodes import marks
from nodes.causes import NO_SOUND, NOTHING_TO_SAY
from nodes.kinds import AudioFrame, Text
from nodes.llm.base import Token
from nodes.tts.base import Sentence, Spoken
from nodes.tts.pcm import LEAD_IN_MS, Samples
from nodes.tts.speech import CLAUSE_PAUSE_MS, SENTENCE_PAUSE_MS, SpeechNode
from nodes.turn.base import Interrupt

LETTER_MS = 10
FRAME = 480  # samples: 20 ms at 24 kHz


class Hum:
    sample_rate = 16_000
    language = "en"

    def __init__(self) -> None:
        self.said: list[str] = []
        self.aborted = threading.Event()

    def synthesise(self, text: str) -> Iterator[Samples]:
        self.said.append(text)
        yield np.zeros(4_000, np.float32)  # lead-in
        if "crash" in text:
            raise RuntimeError("out of breath")
        if "hush" in text:
            return
        for _ in text:
            yield np.full(self.sample_rate * LETTER_MS // 1000, 0.5, np.float32)
        if "forever" in text:
            assert self.aborted.wait(60)
            raise RuntimeError("aborted")

    def abort(self) -> None:
        self.aborted.set()


class Hummer(SpeechNode):
    voice: Hum

    def load(self) -> Hum:
        return Hum()


@pytest.fixture
def hummer() -> Iterator[Harness[Hummer]]:
    with Harness(Hummer) as made:
        made.node.voice.said.clear()
        yield made


def tokens(hummer: Harness[Hummer], *texts: str, last: bool = True, **header: Any) -> list[Sent]:
    sent = []
    for i, text in enumerate(texts):
        sent += hummer.feed("text", Token(text, i, last and i == len(texts) - 1), **header)
    return sent


def spoken(sent: list[Sent]) -> list[Spoken]:
    return [s.body for s in sent if isinstance(s.body, Spoken)]


def frames(sent: list[Sent]) -> list[Sent]:
    return [s for s in sent if isinstance(s.body, AudioFrame)]


def samples_of(text: str, pause_ms: int) -> int:
    """In whole frames; the resampler may round one sample either way."""
    return -(-(LEAD_IN_MS + len(text) * LETTER_MS + pause_ms) * 24 // FRAME) * FRAME


def test_tokens_become_clauses_frames_and_what_they_say(hummer: Harness[Hummer]) -> None:
    sent = tokens(
        hummer, "This is the **first", "** clause, and this", " is its end. Bye", " 😀", session="ann", turn=2, revision=1
    )
    texts = ["This is the first clause,", "and this is its end.", "Bye"]
    assert hummer.node.voice.said == texts
    pauses = [CLAUSE_PAUSE_MS, SENTENCE_PAUSE_MS, 0]
    assert [s.text for s in spoken(sent)] == [*texts, ""]
    assert [s.last for s in spoken(sent)] == [False, False, False, True]
    for said, pause_ms in zip(spoken(sent), pauses, strict=False):
        assert said.samples == pytest.approx(samples_of(said.text, pause_ms), abs=FRAME)
    assert [f.body for f in frames(sent)] == [AudioFrame(24_000, i * FRAME) for i in range(len(frames(sent)))]
    assert {len(f.payload) for f in frames(sent)} == {2 * FRAME}
    assert sum(s.samples for s in spoken(sent)) == len(frames(sent)) * FRAME
    assert {(s.session, s.turn, s.revision) for s in sent} == {("ann", 2, 1)}
    assert [(m.mark.name, m.mark.fields, m.turn) for m in hummer.marks] == [(marks.FIRST_CLAUSE, {"text": texts[0]}, 2)]


def test_a_clause_is_spoken_before_the_next_is_written(hummer: Harness[Hummer]) -> None:
    assert [s.text for s in spoken(tokens(hummer, "It is so. ", "Or", last=False))] == ["It is so."]
    assert [s.text for s in spoken(tokens(hummer, " not."))] == ["Or not.", ""]


@pytest.mark.parametrize("text", ["", "😀 **", "```\ncode\n```\n"])
def test_a_reply_with_nothing_to_say_is_closed(hummer: Harness[Hummer], text: str) -> None:
    assert [s.body for s in tokens(hummer, text)] == [Spoken(last=True, cause=NOTHING_TO_SAY)]
    assert hummer.marks == []
    assert hummer.warnings == []


def test_sentences_are_spoken_whole(hummer: Harness[Hummer]) -> None:
    text = "One thing, and another thing. And a third."
    sent = hummer.feed("text", Sentence(text), turn=1) + hummer.feed("text", Sentence("End.", last=True), turn=1)
    assert [s.text for s in spoken(sent)] == [text, "End.", ""]
    assert frames(sent)[-1].body.start == (len(frames(sent)) - 1) * FRAME


def test_a_text_stands_for_itself_in_the_middle_of_a_reply(hummer: Harness[Hummer]) -> None:
    tokens(hummer, "The reply is", last=False, turn=3)
    announced = hummer.feed("text", Text("Timer. Time is up."), turn=0)
    assert [s.text for s in spoken(announced)] == ["Timer.", "Time is up.", ""]
    assert frames(announced)[0].body.start == 0
    assert [s.text for s in spoken(tokens(hummer, " here.", turn=3))] == ["The reply is here.", ""]


def test_a_new_turn_drops_what_the_old_one_had_not_said(hummer: Harness[Hummer]) -> None:
    tokens(hummer, "The old is", last=False, turn=1)
    tokens(hummer, "The newer is", last=False, turn=1, revision=1)
    assert tokens(hummer, " stale.", turn=1) == []
    tokens(hummer, "Another one's", last=False, turn=1, session="ann")
    sent = tokens(hummer, "The new is", " here.", turn=2)
    assert [s.text for s in spoken(sent)] == ["The new is here.", ""]
    assert frames(sent)[0].body.start == 0
    assert [s.text for s in spoken(tokens(hummer, " too.", turn=1, session="ann"))] == ["Another one's too.", ""]


@pytest.mark.parametrize(
    ("turn", "left"), [({"turn": 2}, "Yes."), ({"turn": 1, "revision": 1}, "Yes."), ({"turn": 1}, "The old is Yes.")]
)
def test_an_interrupt_drops_what_is_older(hummer: Harness[Hummer], turn: dict[str, int], left: str) -> None:
    tokens(hummer, "The old is", last=False, turn=1)
    assert hummer.feed("interrupt", Interrupt(), **turn) == []
    assert [s.text for s in spoken(tokens(hummer, " Yes.", turn=1))] == [left, ""]


def test_interrupted_in_mid_clause_the_engine_is_told_and_the_next_turn_speaks(hummer: Harness[Hummer]) -> None:
    steps = hummer.node.on_text(Message(Sentence("This goes on forever."), turn=1))
    sent = 0
    while (step := next(steps)) is not None or sent < 10:  # 10 frames are out: the engine is stuck in the next
        sent += step is not None
    steps.close()  # type: ignore[attr-defined]
    assert hummer.node.voice.aborted.is_set()
    assert [s.text for s in spoken(tokens(hummer, "Next.", turn=2))] == ["Next.", ""]
    assert hummer.warnings == []


@pytest.mark.parametrize(
    ("text", "cause"), [("A crash.", "RuntimeError: out of breath"), ("Do hush.", "the engine made no sound")]
)
def test_a_clause_that_fails_is_told_and_the_turn_goes_on(hummer: Harness[Hummer], text: str, cause: str) -> None:
    sent = tokens(hummer, text, " That is all.", turn=1)
    assert hummer.warnings == [f"could not speak '{text}': {cause}"]
    assert spoken(sent)[0] == Spoken(text, samples=0)
    assert [s.text for s in spoken(sent)] == [text, "That is all.", ""]
    assert frames(sent)[0].body.start == 0
    assert [s.text for s in spoken(tokens(hummer, "Next.", turn=2))] == ["Next.", ""]


def test_who_could_not_speak_at_all_says_why_and_passes_on_what_it_was_told(hummer: Harness[Hummer]) -> None:
    assert spoken(tokens(hummer, "A crash.", turn=1))[-1] == Spoken(last=True, cause=NO_SOUND)
    assert spoken(tokens(hummer, "A crash.", " That is all.", turn=2))[-1] == Spoken(last=True)
    for turn, (text, cause) in enumerate([("", "no model"), ("Half a", "it fell")], 3):
        hummer.feed("text", Token(text), turn=turn)
        assert hummer.feed("text", Token(last=True, cause=cause), turn=turn)[-1].body == Spoken(last=True, cause=cause)


def next_life(hummer: Harness[Hummer]) -> Harness[Hummer]:
    made = Harness(Hummer)
    made.node.restore(hummer.kept)
    assert made.kept == hummer.kept, "it may die before anything new has come"
    made.node.voice.said.clear()
    return made


def test_a_voice_that_is_started_again_goes_on_in_the_middle_of_a_reply(hummer: Harness[Hummer]) -> None:
    sent = tokens(hummer, "It is so. And", " that", last=False, turn=1)
    with next_life(hummer) as heir:
        assert heir.feed("text", Token(" that", 1), turn=1) == [], "it was not known to be done"
        rest = heir.feed("text", Token(" is all.", 2, last=True), turn=1)
        assert [s.text for s in spoken(rest)] == ["And that is all.", ""]
        assert frames(rest)[0].body.start == len(frames(sent)) * FRAME
        assert heir.marks == [], "the first clause was spoken long ago"
        with next_life(heir) as third:
            assert third.feed("text", Token(" is all.", 2, last=True), turn=1) == []
            assert [s.text for s in spoken(tokens(third, "Next.", turn=2))] == ["Next.", ""]


def test_a_voice_that_dies_in_the_middle_of_a_clause_begins_that_again(hummer: Harness[Hummer]) -> None:
    first = tokens(hummer, "It is so. And", last=False, turn=1)
    steps = hummer.stream("text", Token(" on. Then", 1), turn=1)
    assert isinstance(next(steps).body, AudioFrame)
    with next_life(hummer) as heir:
        rest = heir.feed("text", Token(" on. Then", 1), turn=1)
    assert [s.text for s in spoken(rest)] == ["And on."]
    assert frames(rest)[0].body.start == len(frames(first)) * FRAME
    steps.close()  # type: ignore[attr-defined]


def test_a_language_model_that_begins_again_is_not_heard_again(hummer: Harness[Hummer]) -> None:
    tokens(hummer, "It is so. And", last=False, turn=1)
    again = Header(PROTOCOL, "token", "tokens", "llm", 0, cause=Cause("turn", 0, 0, 1))
    assert hummer.feed("text", Token("It is so. And that"), turn=1, header=again) == []
    end = hummer.feed("text", Token(" is all.", 1, last=True), turn=1, header=again)
    assert [s.text for s in spoken(end)] == ["And that is all.", ""]
    later = Header(PROTOCOL, "token", "tokens", "llm", 0, cause=Cause("turn", 0, 0, 2))
    assert hummer.feed("text", Token("It is so. And that is all."), turn=1, header=later) == []
    assert hummer.feed("text", Token(index=1, last=True), turn=1, header=later) == []
