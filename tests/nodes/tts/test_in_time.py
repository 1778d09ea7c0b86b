"""A voice begins its later clauses in time: a reply has no gap, and what is interrupted was hardly spoken."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import Any

import msgspec
import numpy as np
import pytest

from graph.message import PROTOCOL, Cause, Header, Message
from graph.testing import Harness, Sent
from nodes.kinds import AudioFrame
from nodes.llm.base import Token
from nodes.tts.base import Sentence, Spoken
from nodes.tts.pcm import Samples
from nodes.tts.speech import SpeechNode
from nodes.turn.base import Interrupt

MS_NS = 1_000_000
LETTER_MS = 10  # of which a tenth is needed to make them
FRAME = 480  # samples: 20 ms at 24 kHz


class Hum:
    sample_rate = 16_000
    language = "en"

    def __init__(self) -> None:
        self.said: list[str] = []
        self.takes: Callable[[int], None] = lambda letters: None  # what it does while it speaks so many letters

    def synthesise(self, text: str) -> Iterator[Samples]:
        self.said.append(text)
        self.takes(len(text))
        yield np.full(self.sample_rate * LETTER_MS * len(text) // 1000, 0.5, np.float32)

    def abort(self) -> None:
        """It is quick."""


class Hummer(SpeechNode):
    voice: Hum

    def load(self) -> Hum:
        return Hum()


SENTENCES = [f"This is the sentence number {number}, and it is not so short. " for number in "123456789"]
LONG = [*SENTENCES, *SENTENCES, *SENTENCES]  # 1,600 letters, 16 s


@pytest.fixture
def hummer() -> Iterator[Harness[Hummer]]:
    """A voice that needs time, and knows how much: clauses of several lengths were spoken."""
    with Harness(Hummer, clock_ns=1_000_000 * MS_NS) as made:

        def takes(letters: int) -> None:
            assert made.clock_ns is not None
            made.clock_ns += letters * MS_NS

        made.node.voice.takes = takes
        for text in ("One.", "One and two.", "One and two and three."):
            made.feed("text", Sentence(text, last=True), turn=1, session="before")
        made.node.voice.said.clear()
        made.marks.clear()
        yield made


def spoken(sent: list[Sent]) -> list[Spoken]:
    return [s.body for s in sent if isinstance(s.body, Spoken)]


def frames(sent: list[Sent]) -> list[Sent]:
    return [s for s in sent if isinstance(s.body, AudioFrame)]


def squeezed(*texts: str) -> str:
    """Clauses are spoken without the spaces between them."""
    return "".join("".join(texts).split())


def gaps_ns(sent: list[tuple[int, Sent]]) -> int:
    """For how long nothing was heard within a reply, of whose messages the times are known."""
    runs_out_ns, silent_ns = 0, 0
    for at_ns, one in sent:
        if isinstance(one.body, AudioFrame):
            silent_ns += max(0, at_ns - runs_out_ns) if runs_out_ns else 0
            runs_out_ns = max(at_ns, runs_out_ns) + len(one.payload) * 500_000_000 // one.body.sample_rate
    return silent_ns


def timed(hummer: Harness[Hummer], sent: Iterator[Sent]) -> list[tuple[int, Sent]]:
    return [(hummer.node.runtime.now_ns(), one) for one in sent]


def on_due(hummer: Harness[Hummer]) -> Iterator[Sent]:
    """What it says by itself when the time has come; closing it is what an end of the process does."""
    hummer.clock_ns, hummer.node.due_ns = max(hummer.node.due_ns, hummer.node.runtime.now_ns()), 0
    return hummer._run(hummer.node.on_due(), Message(Token()))


def wait(hummer: Harness[Hummer]) -> list[tuple[int, Sent]]:
    """What it says by itself until nothing waits."""
    sent = []
    while hummer.node.due_ns:
        sent += timed(hummer, on_due(hummer))
    return sent


def next_life(hummer: Harness[Hummer]) -> Harness[Hummer]:
    """It knows what was kept, and nothing of what a clause costs."""
    made = Harness(Hummer, clock_ns=hummer.clock_ns)
    made.node.restore(msgspec.msgpack.decode(msgspec.msgpack.encode(hummer.kept)))
    made.node.voice.said.clear()
    return made


def test_a_long_reply_is_spoken_in_time_and_no_sooner(hummer: Harness[Hummer]) -> None:
    sent = timed(hummer, hummer.stream("text", Token("".join(LONG), 0, True), session="ann", turn=2, revision=1, origin_ns=7))
    assert len(spoken([one for _, one in sent])) < 10, "what is left has time"
    assert list(hummer.node.in_turn()) == ["ann"]
    sent += wait(hummer)
    said = [one for _, one in sent]
    assert squeezed(*(s.text for s in spoken(said))) == squeezed(*LONG)
    assert [s.last for s in spoken(said)] == [False] * (len(spoken(said)) - 1) + [True]
    assert [f.body.start for f in frames(said)] == [FRAME * n for n in range(len(frames(said)))]
    assert {(s.session, s.turn, s.revision, s.origin_ns) for s in said} == {("ann", 2, 1, 7)}
    assert gaps_ns(sent) == 0
    assert hummer.node.due_ns == 0
    assert not hummer.node.in_turn()


def test_what_has_time_grows_to_the_end_of_its_sentence(hummer: Harness[Hummer]) -> None:
    begin, end = f"Here {'it goes on ' * 9}for a while,", "and then it ends."
    for turn, (paced, said) in enumerate([(False, [begin, end] * 3), (True, [begin, end, begin, end, f"{begin} {end}"])], 2):
        hummer.node.config = hummer.node.config.model_copy(update={"paced": paced})
        for index in range(3):
            hummer.feed("text", Token(f"{begin} {end} ", index), turn=turn)
        hummer.feed("text", Token(index=3, last=True), turn=turn)
        wait(hummer)
        assert hummer.node.voice.said == said
        hummer.node.voice.said.clear()


def test_where_nobody_listens_in_real_time_nothing_waits(hummer: Harness[Hummer]) -> None:
    hummer.node.config = hummer.node.config.model_copy(update={"paced": False})
    assert spoken(hummer.feed("text", Token("".join(LONG), last=True), turn=2))[-1].last
    assert hummer.node.due_ns == 0


def test_what_is_said_again_of_a_reply_that_waits_is_no_news(hummer: Harness[Hummer]) -> None:
    hummer.feed("text", Token("".join(LONG), last=True), turn=2)
    again = Header(PROTOCOL, "token", "tokens", "llm", 0, cause=Cause("turn", 0, 0, 1))
    assert hummer.feed("text", Token("".join(LONG), last=True), turn=2, header=again) == []
    wait(hummer)
    assert squeezed(*hummer.node.voice.said) == squeezed(*LONG)


def test_what_waits_is_dropped_by_an_interrupt(hummer: Harness[Hummer]) -> None:
    hummer.feed("text", Token("".join(LONG), last=True), turn=2)
    hummer.feed("interrupt", Interrupt(), turn=3)
    assert wait(hummer) == []
    assert not hummer.node.in_turn()
    with next_life(hummer) as heir:
        assert wait(heir) == []


def test_interrupted_while_it_speaks_by_itself_it_falls_silent(hummer: Harness[Hummer]) -> None:
    hummer.feed("text", Token("".join(LONG), last=True), turn=2)
    steps = on_due(hummer)
    assert isinstance(next(steps).body, AudioFrame)
    hummer.feed("interrupt", Interrupt(), turn=2)
    assert isinstance(next(steps).body, AudioFrame), "its own turn is no news"
    hummer.feed("interrupt", Interrupt(), turn=2, revision=1)
    assert list(steps) == []
    assert wait(hummer) == []


def test_a_new_turn_that_interrupted_nobody_waits_for_the_old_one(hummer: Harness[Hummer]) -> None:
    text = "".join(LONG)
    hummer.feed("text", Token(text, last=True), turn=2)
    hummer.feed("text", Token("And so on. ", last=True), turn=3)
    wait(hummer)
    assert squeezed(*hummer.node.voice.said) == squeezed(text, "And so on.")
    ends = [(s.turn, s.body.last) for s in hummer.sent if isinstance(s.body, Spoken) and s.session == "default"]
    assert [turn for turn, last in ends if last] == [2, 3]
    assert ends[-2:] == [(3, False), (3, True)]


def test_a_reply_of_another_session_is_begun_while_the_first_one_waits(hummer: Harness[Hummer]) -> None:
    hummer.feed("text", Token("".join(LONG), last=True), turn=2, session="ann")
    assert spoken(hummer.feed("text", Token("Hello Bob.", last=True), turn=2, session="bob")) != []
    assert list(hummer.node.in_turn()) == ["ann"]
    assert {one.session for _, one in wait(hummer)} == {"ann"}


def test_at_the_end_of_the_graph_what_waits_is_spoken(hummer: Harness[Hummer]) -> None:
    hummer.feed("text", Token("".join(LONG), last=True), turn=2)
    assert hummer.node.due_ns
    assert spoken(hummer.drain())[-1].last
    assert squeezed(*hummer.node.voice.said) == squeezed(*LONG)


def test_what_a_reply_was_told_about_its_end_comes_after_what_waited(hummer: Harness[Hummer]) -> None:
    hummer.feed("text", Token("".join(LONG), 0), turn=2)
    assert spoken(hummer.feed("text", Token(index=1, last=True, cause="it fell"), turn=2)) == []
    assert spoken([one for _, one in wait(hummer)])[-1] == Spoken(last=True, cause="it fell")


@pytest.mark.parametrize("texts", [["".join(LONG), "The last one."], ["".join(LONG) + "The last", " one."]])
def test_a_next_life_goes_on_with_what_waited(hummer: Harness[Hummer], texts: list[str]) -> None:
    first, last = Token(texts[0], 0), Token(texts[1], 1, last=True)
    sent = hummer.feed("text", first, turn=2, origin_ns=7)
    with next_life(hummer) as heir:
        assert list(heir.node.in_turn()) == ["default"]
        more = [one for _, one in wait(heir)]
        more += [*heir.feed("text", first, turn=2), *heir.feed("text", last, turn=2), *(one for _, one in wait(heir))]
        assert frames(more)[0].body.start == len(frames(sent)) * FRAME
        assert {(one.turn, one.origin_ns) for one in more} == {(2, 7)}
        assert squeezed(*(s.text for s in spoken([*sent, *more]))) == squeezed(*texts)
        assert spoken(more)[-1].last
        assert heir.marks == [], "the first clause was spoken long ago"
        assert not heir.node.in_turn()


def test_a_next_life_ends_a_reply_whose_last_token_was_done(hummer: Harness[Hummer]) -> None:
    last = Token("".join(LONG), 0, last=True, cause="it fell")
    sent = hummer.feed("text", last, turn=2)
    with next_life(hummer) as heir:
        more = [one for _, one in wait(heir)]
        assert squeezed(*(s.text for s in spoken([*sent, *more]))) == squeezed(*LONG)
        assert spoken(more)[-1] == Spoken(last=True, cause="it fell")
        assert heir.feed("text", last, turn=2) == [], "it was not known to be done"
        with next_life(heir) as third:
            assert wait(third) == []


def test_a_next_life_ends_a_reply_of_which_all_was_spoken(hummer: Harness[Hummer]) -> None:
    steps = hummer.stream("text", Token("It is so.", last=True), turn=2)
    assert next(one.body for one in steps if isinstance(one.body, Spoken) and one.body.last)
    with next_life(hummer) as heir:
        assert [one.body for _, one in wait(heir)] == [Spoken(last=True)]
    steps.close()  # type: ignore[attr-defined]


def test_a_clause_in_which_a_voice_dies_is_begun_again_but_not_twice(hummer: Harness[Hummer]) -> None:
    hummer.feed("text", Token("".join(LONG), last=True), turn=2)

    def dies(life: Harness[Hummer]) -> str:
        """In the middle of a clause: what is kept by then is all that remains."""
        told: Any = on_due(life)
        assert isinstance(next(told).body, AudioFrame)
        kept = life.kept
        told.close()
        life.kept = kept
        return life.node.voice.said[-1]

    first = dies(hummer)
    with next_life(hummer) as second:
        assert dies(second) == first
        with next_life(second) as third:
            assert dies(third) != first
